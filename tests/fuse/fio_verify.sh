#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fio writes random sizes at random places and checks every byte by CRC32C, over scattered faults:
# through the page cache and with direct I/O, in the same mount and again after a remount.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need fio

verify() {
    fio --name="$1" --filename="$disk" --size=64M --offset="$2" --rw=randwrite \
        --bsrange=512-128k --verify=crc32c --verify_state_save=0 --verify_fatal=1 --fallocate=none --allow_file_create=0 \
        --randseed="$3" --direct="$4" --ioengine="$5" --iodepth="$6" --end_fsync=1 \
        --output="$out" "${@:7}" || fail "fio $1 ${*:7}"
}

scatter 300 $((128 * 2048)) 2 write all pending
make_pair 128M 64M
mount_disk

verify buffered 0 11 0 psync 1
verify direct 64M 12 1 libaio 16
drop_caches || true
verify buffered 0 11 0 psync 1 --verify_only
verify direct 64M 12 1 libaio 16 --verify_only
remapped=$(status_word mappings)
[ "$remapped" -gt 20 ] || fail "only $remapped blocks were remapped: the faults did not bite"

unmount_disk
forget_pending
mount_disk
verify buffered 0 11 0 psync 1 --verify_only
verify direct 64M 12 1 libaio 16 --verify_only
verify both 0 13 1 libaio 16 --size=128M --rw=randrw
unmount_disk
ctl check "$spare" >"$out" || fail "dmremapctl check is not content"
say "$remapped blocks remapped, every byte verified"
