#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The main job: a real ext4, through a loop device, on a disk whose main is full of bad sectors.
# What was copied in comes back bit for bit, after the caches were dropped and after a remount of
# everything, and fsck finds nothing to say. Once with the loop driver going through the page cache
# of disk.img, once with direct I/O.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need_loop
need mkfs.ext4 e2fsck tar

round() {
    local direct=$1 tree=$work/tree$1 ext4=$work/ext4 loop remapped

    : >"$faults"
    scatter 240 $((256 * 2048)) 1 write all pending
    make_pair 256M 64M
    mount_disk
    attach "$disk" --direct-io="$direct"
    mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$loop"
    mount_ext4 "$loop" "$ext4"
    a_tree "$tree" 48
    cp -a "$tree" "$ext4/tree"
    sync
    drop_caches
    sums "$tree" >"$work/want"
    sums "$ext4/tree" | diff "$work/want" - >"$out" || fail "files differ before the remount"
    remapped=$(status_word mappings)
    [ "$remapped" -gt 20 ] || fail "only $remapped blocks were remapped: the faults did not bite"

    umount "$ext4"
    detach "$loop"
    unmount_disk
    forget_pending
    mount_disk
    [ "$(status_word mappings)" -ge "$remapped" ] || fail "remaps were forgotten over the remount"
    attach "$disk" --direct-io="$direct"
    e2fsck -fn "$loop" >"$out" 2>&1 || fail "e2fsck -fn is not content"
    mount_ext4 "$loop" "$ext4"
    sums "$ext4/tree" | diff "$work/want" - >"$out" || fail "files differ after the remount"

    umount "$ext4"
    detach "$loop"
    unmount_disk
    ctl check "$spare" >"$out" || fail "dmremapctl check is not content"
    say "direct-io=$direct: $(wc -l <"$work/want") files right, $remapped blocks remapped"
    rm -rf "$tree"
}

# Sectors that fail on writing, on both, pending ones (unreadable until written).
round off
round on
