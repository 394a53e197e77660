#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# disk.img under QEMU's own block layer: qemu-img and qemu-io, cached and with O_DIRECT, over faults.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need qemu-img qemu-io

# io CACHE_MODE qemu-io's arguments...
io() {
    qemu-io -f raw -t "$1" "${@:2}" "$disk" >"$out" 2>&1 || fail "qemu-io -t $*"
    if grep -qiE 'failed|error' "$out"; then fail "qemu-io -t $*"; fi
}

scatter 80 $((64 * 2048)) 3 write all pending
make_pair 64M 32M
mount_disk

qemu-img info -f raw "$disk" >"$out" || fail "qemu-img info"
grep -q '64 MiB' "$out" || fail "qemu-img info shows another size: $(cat "$out")"

for cache in writeback none; do
    io "$cache" -c 'write -P 17 0 4M' -c 'write -P 34 4097k 12345k' -c 'flush'
    io "$cache" -c 'write -z 1M 64k' -c 'discard 3M 1M' -c 'flush'
    io "$cache" -c 'read -P 17 0 1M' -c 'read -P 0 1M 64k' -c 'read -P 34 4097k 12345k'
done

# A guest's disk: converted onto the disk and compared by qemu-img itself.
noise guest $((64 << 20)) >"$work/guest.raw"
qemu-img convert -n -f raw -O raw -t none "$work/guest.raw" "$disk" || fail "qemu-img convert to disk.img"
qemu-img compare -f raw -F raw "$work/guest.raw" "$disk" >"$out" || fail "qemu-img compare"
unmount_disk
forget_pending
mount_disk
qemu-img convert -f raw -O qcow2 "$disk" "$work/out.qcow2" || fail "qemu-img convert from disk.img"
qemu-img compare -f raw -F qcow2 "$work/guest.raw" "$work/out.qcow2" >"$out" || fail "compare after a remount"
[ "$(status_word mappings)" -gt 5 ] || fail "the faults did not bite"
say "qemu-img and qemu-io are content, $(status_word mappings) blocks remapped"
