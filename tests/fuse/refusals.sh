#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# P7, the right pair or nothing: each wrong pair is refused, with exit code 32 by the mount and 1 by
# dmremapctl, with a sentence that names what was found; and a refusal changes no byte.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need mkfs.ext4

mount_pair() { "$bin/mount.dmremapfs" "$1" "$work/other" -o "spare=$2"; }
format() { ctl format --main "$1" --spare "$2" "${@:3}"; }
uuid_of() { ctl examine --json "$1" | sed -n 's/.*"uuid": *"\([0-9a-f-]*\)".*/\1/p' | head -n 1; }
unchanged() { [ "$(sha256sum <"$spare")" = "$spare_sum" ] || fail "a refusal changed the spare"; }
mkdir "$work/other"
at_end "! mountpoint -q '$work/other' || fusermount3 -u '$work/other'"

make_pair 64M 16M
cp "$main" "$work/clone.img"
truncate -s 32M "$work/small.img"
truncate -s 64M "$work/blank.img"

# In use: the second mount of the pair, and either half of it with another.
mount_disk
refused 32 'in use|busy|another' mount_pair "$main" "$spare"
refused 32 'in use|busy|another' mount_pair "$work/clone.img" "$spare"
refused 4 'in use|busy|another' format "$work/blank.img" "$spare" --force
unmount_disk
spare_sum=$(sha256sum <"$spare")

# The wrong main: another file of the same size, another size, nothing at all.
refused 32 'inode' mount_pair "$work/clone.img" "$spare"
refused 32 "$((64 << 20)) bytes" mount_pair "$work/small.img" "$spare"
refused 32 'does not exist' mount_pair "$work/nothing.img" "$spare"
refused 32 'same' mount_pair "$spare" "$spare"
refused 32 'swapped' mount_pair "$spare" "$main"
refused 32 'not a dm-remap spare' mount_pair "$main" "$work/blank.img"
unchanged

# Format: what would be lost is named and needs the right word.
uuid=$(uuid_of "$spare")
[ ${#uuid} = 36 ] || fail "dmremapctl examine --json shows no uuid: '$uuid'"
refused 1 "$uuid" format "$main" "$spare"
refused 1 "$uuid" format "$main" "$spare" --force
refused 1 "$uuid" format "$main" "$spare" --destroy=00000000-0000-4000-8000-000000000000
refused 1 'spare' format "$spare" "$work/blank.img"
refused 1 'same' format "$main" "$main"
unchanged
format "$main" "$spare" "--destroy=$uuid" >"$out"
[ "$(uuid_of "$spare")" != "$uuid" ] || fail "--destroy made no new spare"

# A spare that somebody made a file system over: neither mounted nor repaired nor bound anew, for the
# slots may be overwritten; only a rescue reads it. Taking the signature away is taken at its word.
mkfs.ext4 -q -F -E nodiscard -L oops "$spare"
spare_sum=$(sha256sum <"$spare")
refused 32 'ext4.*oops.*rescue' mount_pair "$main" "$spare"
refused 32 'ext4.*oops.*rescue' "$bin/mount.dmremapfs" "$main" "$work/other" -o "spare=$spare,ro"
refused 4 'ext4.*oops' ctl check "$spare"
refused 4 'ext4.*oops' ctl check --repair "$spare"
refused 1 'ext4.*oops' ctl rebind --main "$main" "$spare"
unchanged
"$bin/mount.dmremapfs" "$main" "$work/other" -o "spare=$spare,ro,rescue"
grep -q 'oops' "$work/other/control/reasons" || fail "a rescue does not warn of the file system"
fusermount3 -u "$work/other"
unchanged

truncate -s 1M "$work/tiny.img"
refused 1 'small|at least' format "$main" "$work/tiny.img"
truncate -s 16M "$work/foreign.img"
mkfs.ext4 -q -F "$work/foreign.img"
foreign_sum=$(sha256sum <"$work/foreign.img")
refused 1 'ext4.*--force|--force.*ext4' format "$main" "$work/foreign.img"
[ "$(sha256sum <"$work/foreign.img")" = "$foreign_sum" ] || fail "a refusal changed the spare"
format "$main" "$work/foreign.img" --force >"$out"
ctl check "$work/foreign.img" >"$out" || fail "what --force overwrote is still seen"

# A spare that shrank is refused; bad words are usage errors.
truncate -s 15M "$work/foreign.img"
refused 32 '15728640 bytes' mount_pair "$main" "$work/foreign.img"
refused 1 'spare=' "$bin/mount.dmremapfs" "$main" "$work/other"
refused 1 'option|unknown' "$bin/mount.dmremapfs" "$main" "$work/other" -o "spare=$spare,no_such=1"
refused 2 'main' ctl format --spare "$spare"
refused 3 'does not exist' ctl examine "$work/nothing.img"
say "every wrong pair was refused in words"
