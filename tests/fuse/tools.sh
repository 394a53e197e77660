#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What people use on a disk image works on disk.img as on any file, and says so when it cannot:
# dd, cp, mmap, truncate, fallocate, and above all that a lost sector never shortens a copy.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

mib=$((1 << 20))
bad read $((8 * 2048 + 3)) 1
bad read $((12 * 2048)) 8
make_pair 32M 16M
noise whole $((32 * mib)) >"$main"
cp "$main" "$work/want.img"
ctl format --main "$main" --spare "$spare" --destroy="$(ctl examine --json "$spare" |
    sed -n 's/.*"uuid": *"\([0-9a-f-]*\)".*/\1/p' | head -n 1)" >"$out"
mount_disk

[ "$(stat -c %s "$disk")" = $((32 * mib)) ] || fail "disk.img has the wrong size"
[ "$(at "$disk" 0 $((8 * mib)))" = "$(at "$work/want.img" 0 $((8 * mib)))" ] || fail "dd"
[ "$(at "$disk" 0 $((8 * mib)) iflag=direct)" = "$(at "$work/want.img" 0 $((8 * mib)))" ] ||
    fail "dd iflag=direct"

# P1: a copy that meets a lost sector fails; it never ends early with exit status 0.
refused 1 'input/output error' dd if="$disk" of="$work/copy" bs=64k
refused 1 'input/output error' cp "$disk" "$work/copy"
refused 1 'input/output error' cat "$disk"

# The documented way around it: direct I/O in single sectors loses exactly the lost ones.
# (dd reports each, and ends with 0 or 1 by version: conv=noerror asks it to go on.)
dd if="$disk" of="$work/copy" bs=512 iflag=direct conv=noerror,sync 2>"$out" || true
grep -qi 'input/output error' "$out" || fail "dd met no error"
[ "$(stat -c %s "$work/copy")" = $((32 * mib)) ] || fail "conv=noerror,sync changed the size"
cmp -l "$work/copy" "$work/want.img" >"$work/differences" && fail "nothing was lost?"
wrong=$(awk '{ s[int(($1 - 1) / 512)] } END { for (i in s) print i }' "$work/differences" | sort -n | xargs)
[ "$wrong" = "16387 24576 24577 24578 24579 24580 24581 24582 24583" ] ||
    fail "other sectors than the bad ones differ: $wrong"

# What is lost comes back by writing.
dd if="$work/want.img" of="$disk" bs=512 skip=16387 seek=16387 count=1 conv=notrunc,fsync status=none
dd if="$work/want.img" of="$disk" bs=4096 skip=3072 seek=3072 count=1 conv=notrunc,fsync status=none
cmp "$disk" "$work/want.img" || fail "the disk is not whole after its lost sectors were written"
cp --sparse=always "$disk" "$work/copy"
cmp "$work/copy" "$work/want.img" || fail "cp --sparse=always"
dd if="$work/want.img" of="$disk" bs=1M oflag=direct conv=notrunc status=none || fail "dd oflag=direct"

# The size is the disk's.
size_kept() { [ "$(stat -c %s "$disk")" = $((32 * mib)) ] || fail "$1 changed the size"; }
truncate -s 16M "$disk" 2>"$out" && fail "truncate was not refused"
size_kept truncate
fallocate -l 64M "$disk" 2>"$out" && fail "fallocate beyond the end was not refused"
size_kept fallocate
printf x 2>"$out" | dd of="$disk" bs=1 seek=$((32 * mib)) conv=notrunc status=none 2>"$out" &&
    fail "a write past the end succeeded"
size_kept 'a write past the end'
touch "$mnt/new" 2>"$out" && fail "a file could be made beside disk.img"
rm -f "$disk" 2>"$out" && fail "disk.img could be removed"
chmod 0640 "$disk" || fail "chmod"
chown "$(id -u):$(id -g)" "$disk" || fail "chown"

# Zeroing reads back as zeros, remapped blocks and parts of blocks included.
zeros() { cmp -s -n "$3" -i "$2:0" "$1" /dev/zero; }
fallocate --punch-hole -o $((8 * mib + 512)) -l $((mib + 1024)) "$disk" || fail "fallocate --punch-hole"
zeros "$disk" $((8 * mib + 512)) $((mib + 1024)) || fail "a punched hole is not zeros"
fallocate --zero-range --keep-size -o $((12 * mib + 100)) -l 5000 "$disk" || fail "fallocate --zero-range"
zeros "$disk" $((12 * mib + 100)) 5000 || fail "a zeroed range is not zeros"
[ "$(at "$disk" $((8 * mib)) 512)" = "$(at "$work/want.img" $((8 * mib)) 512)" ] ||
    fail "punching took more than it was asked to"
[ "$(dd if="$disk" bs=1 skip=$((12 * mib)) count=100 status=none | sha256sum)" = \
    "$(dd if="$work/want.img" bs=1 skip=$((12 * mib)) count=100 status=none | sha256sum)" ] ||
    fail "zeroing took more than it was asked to"

# mmap: fio's engine, reading and writing through a shared mapping.
if command -v fio >/dev/null; then
    fio --name=mmap --filename="$disk" --size=8M --offset=16M --rw=randwrite --bs=4k --ioengine=mmap \
        --verify=crc32c --verify_state_save=0 --verify_fatal=1 --fallocate=none --allow_file_create=0 --output="$out" ||
        fail "fio --ioengine=mmap"
fi

# umount while in use: refused as for every file system; afterwards all is still there.
sleep 300 3<"$disk" &
user=$!
at_end "kill $user 2>/dev/null"
fusermount3 -u "$mnt" 2>"$out" && fail "unmounted although disk.img was open"
[ "$(cat "$mnt/control/state")" = healthy ] || fail "state: $(cat "$mnt/control/state")"
kill "$user"
wait "$user" 2>/dev/null || true
cp "$disk" "$work/want.img"
unmount_disk
mount_disk
cmp "$disk" "$work/want.img" || fail "the disk differs after a remount"
say "dd, cp, mmap, truncate and fallocate behave"
