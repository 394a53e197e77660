#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# P7: main written while detached is noticed by the witness and refused; accept_changed_main goes
# on; a main that moved to another inode with the same bytes is taken back by dmremapctl rebind.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

mount_pair() { "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare${1:+,$1}"; }

make_pair 16M 16M
noise first $((16 << 20)) >"$main"
mount_disk
put "$disk" 0 65536 mine
unmount_disk

# The whole of main written by somebody else: every witness block differs.
cp "$main" "$work/kept.img"
noise second $((16 << 20)) | dd of="$main" bs=1M iflag=fullblock conv=notrunc status=none
# Up to 64 of them: an evenly spread one may fall on a usual place, as the UUID has it.
refused 32 'was written while detached: (6[0-4]) of \1 witness blocks differ' mount_pair
grep -q accept_changed_main "$out" || fail "the refusal does not say what to do"
mount_pair ro,accept_changed_main || fail "ro,accept_changed_main"
unmount_disk
refused 32 'written while detached' mount_pair
mount_pair accept_changed_main || fail "accept_changed_main"
[ "$(at "$disk" 0 65536)" = "$(noise_sum second 65536)" ] || fail "main's new content does not show"
unmount_disk
mount_pair || fail "the accepted change was not remembered"
unmount_disk

# Another inode: an identity that differs is named. As a copy of the same bytes it can be rebound,
# with other bytes it cannot.
cp "$main" "$work/moved.img"
cp "$work/kept.img" "$work/changed.img"
refused 32 'inode' "$bin/mount.dmremapfs" "$work/moved.img" "$mnt" -o "spare=$spare"
refused 1 'witness' ctl rebind --main "$work/changed.img" "$spare"
ctl rebind --main "$work/moved.img" "$spare" >"$out" 2>&1 || fail "rebind to the same bytes"
main=$work/moved.img
mount_pair || fail "the rebound main does not mount"
[ "$(at "$disk" 0 65536)" = "$(noise_sum second 65536)" ] || fail "the rebound main has other content"
say "a changed main is noticed, a moved one rebound"
