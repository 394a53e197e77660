#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk full of bad sectors, an ext4 on it, a real tree of files in that, and all of it read back.
# `make demo` runs this. It needs no device and touches none but its own images and one loop device.
#
# As root the disk goes through losetup and mkfs.ext4. Without root (or without loop devices) the
# files come onto the disk with mke2fs -d and come off with debugfs.
#
#   KEEP=1   leave everything mounted at the end, to play with
#   SIZE=N   of the disk, in MiB (256)      BAD=N   bad spots on it (300)
#   TREE=DIR the files to copy (/usr/include, or /usr/share)
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

size=${SIZE:-256}
bad=${BAD:-300}
work=$(mktemp -d "${TMPDIR:-/tmp}/dmremap-demo.XXXXXX")
mnt=$work/mnt
disk=$mnt/disk.img
ext4=$work/ext4
loop=

# ------------------------------------------------------------------ ends

# Returns when the disk is closed: until then the daemon holds a lock on the spare.
unmount_disk() {
    local try
    # A loop device that was just detached may hold the disk for a moment more.
    for try in 1 2 3 4 5 6 7 8 9 last; do
        mountpoint -q "$mnt" || break
        fusermount3 -u "$mnt" 2>/dev/null && break
        [ "$try" != last ] || fusermount3 -u -z "$mnt"
        sleep 0.2
    done
    [ ! -e "$work/spare.img" ] || flock -w 30 "$work/spare.img" true
}

take_down() {
    if mountpoint -q "$ext4"; then umount "$ext4"; fi
    if [ -n "$loop" ]; then losetup -d "$loop" && loop=; fi
    unmount_disk
}

at_exit() {
    local status=$?
    trap - EXIT INT TERM HUP
    set +e
    if [ "$status" = 0 ] && [ "${KEEP:-0}" = 1 ]; then
        how_to_play
        exit 0
    fi
    if [ "$status" != 0 ]; then
        printf 'The demo did not come to its end (exit %s); cleaning up.\n' "$status" >&2
    fi
    take_down
    rm -rf --one-file-system "$work"
    exit "$status"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

how_to_play() {
    echo
    echo "KEEP=1: the disk is still mounted. Look around, then take it down:"
    echo "  ls -l $mnt $mnt/control; cat $mnt/control/{status,state,stats}"
    if [ "$via_loop" = yes ]; then
        echo "  ls $ext4/tree"
        echo "  umount $ext4; losetup -d $loop; fusermount3 -u $mnt; rm -r $work"
    else
        echo "  debugfs -R 'ls -l /' $disk"
        echo "  fusermount3 -u $mnt; rm -r $work"
    fi
}

die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}
line() { printf '%-11s %s\n' "$1" "$2"; }

# ------------------------------------------------------------------ parts

# Bad spots of one to eight sectors: weak ones that cannot be read until they are written, ones that
# take no write, and dead ones. core/device/FAULTS.md has the language.
scatter_bad_sectors() {
    awk -v n="$bad" -v sectors=$((size * 2048)) 'BEGIN {
        srand(4)
        for (i = 0; i < n; i++) {
            where = int(rand() * (sectors - 8)) "+" 1 + int(rand() * 8)
            if (i % 3 == 0) print "main bad read " where " heals"
            if (i % 3 == 1) print "main bad write " where
            if (i % 3 == 2) print "main bad all " where
        }
    }'
}

# Whole files from the tree, up to a sixth of the disk.
copy_tree() {
    (cd "$tree" && find . -type f -readable -size -2048k -printf '%s %p\n' 2>/dev/null) | sort -k 2 |
        awk -v max=$((size * 1048576 / 6)) '{ n += $1 + 4096; if (n <= max) { sub(/^[0-9]+ /, ""); print } }' |
        tar -C "$tree" --no-recursion -T - -cf - | tar -C "$1" --no-same-owner -xf -
}

sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum); }

mount_disk() {
    mount.dmremapfs "$work/main.img" "$mnt" -o "spare=$work/spare.img,inject=$work/faults"
    if [ "$via_loop" = yes ]; then loop=$(losetup --find --show "$disk"); fi
}

# Puts the files on the disk, as an ext4.
fill() {
    if [ "$via_loop" = yes ]; then
        mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$loop"
        mount -t ext4 "$loop" "$ext4"
        cp -a "$work/tree" "$ext4/tree"
        sync -f "$ext4"
    else
        mkdir "$work/root"
        mv "$work/tree" "$work/root/tree"
        mke2fs -q -F -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 -d "$work/root" "$disk"
        mv "$work/root/tree" "$work/tree"
    fi
}

# Forgets every cached byte, so that the next reads come from the devices.
drop_caches() {
    sync
    if [ "$(id -u)" = 0 ] && echo 3 2>/dev/null >/proc/sys/vm/drop_caches; then return; fi
    dd if="$disk" iflag=nocache count=0 status=none
}

# Compares what comes off the disk with what went onto it.
compare() {
    local from=$ext4/tree
    drop_caches
    if [ "$via_loop" = no ]; then
        rm -rf "$work/off"
        mkdir "$work/off"
        debugfs -R "rdump /tree $work/off" "$disk" >/dev/null 2>&1
        from=$work/off/tree
    fi
    sums "$from" | diff -q "$work/sums" - >/dev/null || die "files came back changed"
}

# ------------------------------------------------------------------ the demo

command -v mount.dmremapfs >/dev/null || die "mount.dmremapfs is not in PATH: run make demo"
{ [ -r /dev/fuse ] && [ -w /dev/fuse ]; } || { [ "$(id -u)" = 0 ] && modprobe fuse 2>/dev/null; } ||
    die "/dev/fuse cannot be opened: load the fuse module (a container needs --device /dev/fuse --cap-add SYS_ADMIN)"
via_loop=no
if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then via_loop=yes; fi
tree=${TREE:-/usr/include}
if [ -z "${TREE:-}" ] && [ "$(du -sm "$tree" 2>/dev/null | cut -f 1)" -lt 8 ]; then tree=/usr/share; fi

mkdir "$mnt" "$ext4" "$work/tree"
truncate -s "${size}M" "$work/main.img"
truncate -s $((size / 4))M "$work/spare.img"
scatter_bad_sectors >"$work/faults"
dmremapctl format --main "$work/main.img" --spare "$work/spare.img" >/dev/null
line disk: "$size MiB with $bad bad spots: unreadable, unwritable or both; a spare of $((size / 4)) MiB"

mount_disk
line mounted: "$disk"

copy_tree "$work/tree"
sums "$work/tree" >"$work/sums"
files="$(wc -l <"$work/sums") files, $(du -sm "$work/tree" | cut -f 1) MiB, of $tree"
fill
if [ "$via_loop" = yes ]; then
    line ext4: "mkfs.ext4 through $loop; $files copied in"
else
    line ext4: "mke2fs -d (no root or no loop device); $files put in"
fi

compare
line 'read back:' "caches dropped, SHA-256 of every file compared: all right"

take_down
# What was unreadable until it was written has been written: for the second mount it is well.
sed -i '/ heals$/d' "$work/faults"
mount_disk
if [ "$via_loop" = yes ]; then
    e2fsck -fn "$loop" >"$work/fsck" 2>&1 || die "e2fsck found errors: $(cat "$work/fsck")"
    mount -t ext4 "$loop" "$ext4"
else
    e2fsck -fn "$disk" >"$work/fsck" 2>&1 || die "e2fsck found errors: $(cat "$work/fsck")"
fi
compare
line remounted: "all taken down and mounted again: e2fsck clean, every file right again"

grep -v '^#' "$mnt/control/remaps" >"$work/remaps" || die "nothing was remapped: the bad spots were not met"
line healed: "$(wc -l <"$work/remaps") blocks live on the spare ($(awk '{ n[$4]++ }
    END { for (r in n) { printf "%s%d by %s", s, n[r], r; s = ", " } }' "$work/remaps")); the first:"
awk 'NR <= 2 { printf "            sector %d of main -> sector %d of the spare (%s)\n", $1, $3, $4 }' "$work/remaps"
line state: "$(cat "$mnt/control/state")"
line 'you saw:' "a file system on a failing disk that noticed nothing: each block that went bad moved to the spare"
