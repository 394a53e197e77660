#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dmremapctl on a disk that is up: list and status say what its control files say, and the verbs for
# a spare at rest keep off it.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"

# says PATTERN: in the last output.
says() { grep -qE -- "$1" "$out" || fail "no '$1' in the answer"; }
answer() { ctl "$@" >"$out" || fail "dmremapctl $*: exit $?"; }

# A blank in the paths: escaped in mountinfo and in the status line.
mkdir "$work/my disk"
main="$work/my disk/main.img" spare="$work/my disk/spare.img" mnt="$work/my disk/mnt"
disk=$mnt/disk.img
mkdir "$mnt"
make_pair 16M 16M
mount_disk
uuid=$(cat "$mnt/control/uuid")
dd if=/dev/zero of="$disk" bs=64K count=4 conv=notrunc,fsync status=none

answer list
grep -F "$mnt" "$out" | grep -q "healthy *16.0 MiB *$uuid" || fail "list does not show the disk"
answer list --json
says "\"mount_point\": \"$mnt\""
says "\"spare\": \"$spare\""

for target in "$mnt" "$mnt/" "$work/my disk/../my disk/mnt"; do
    answer status "$target"
    says 'state: +healthy'
    says "uuid: +$uuid"
done
(cd "$mnt/.." && ctl status ./mnt) >"$out" || fail "status of a relative mount point"
answer status --json "$mnt"
says '"kind": "mount"'
says '"size_bytes": 16777216'
says '"writes": [1-9]'
says '"slots_used": 0'

refused 4 'use|another' ctl examine "$spare"
refused 8 'use|another' ctl check --repair "$spare"
refused 4 'use|another' ctl rebind --main "$main" "$spare"
[ "$(cat "$mnt/control/state")" = healthy ] || fail "a refused verb disturbed the disk"

unmount_disk
ctl list >"$out"
if grep -qF "$mnt" "$out"; then fail "list shows a disk that is down"; fi
refused 3 'no disk is mounted' ctl status "$mnt"
ctl check "$spare" >"$out" || fail "dmremapctl check is not content"
answer status "$spare"
says 'closed in order'

# A daemon that was killed: the mount is still listed, and what is wrong with it is said.
"$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare" &
daemon=$!
wait_until 10 test -e "$disk" || fail "no disk within 10 s"
kill -KILL "$daemon"
wait "$daemon" || :
ctl list >"$out" 2>&1 || fail "list fails over a dead mount"
says "$mnt +\\?"
says 'note: .*dmremapfs behind it is gone'
refused 1 'is gone' ctl status "$mnt"
fusermount3 -u "$mnt"
answer examine "$spare"
says 'in-use mark: .*is no more'
say "list and status know the disk, the others keep off it"
