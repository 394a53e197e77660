#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What was written is what is read (P1), and kept (P2), also where the kernel does not wait for a
# write: by libaio, io_uring or a loop device, with O_DIRECT. Then it neither drops what the page
# cache got meanwhile, nor sends the fsync that O_DSYNC asks for.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need fio python3

make_pair 64M 16M
echo 'main slow write 0+8 200' >"$faults"
mount_disk

"$bin/coherent" once "$disk"
echo 'main clear' >"$mnt/control/inject"
for depth in 1 4 64; do
    "$bin/coherent" race "$disk" "$depth"
done
say "the page cache shows what was written past it"

flushes() { sed -n 's/^flush_completed[ =:]*//p' "$mnt/control/stats"; }
# write_with ENGINE SYNC: writes 64 blocks, some at once; leaves in $flushed how often that flushed.
write_with() {
    local before status=0
    before=$(flushes)
    fio --name=durable --filename="$disk" --ioengine="$1" --sync="$2" --direct=1 --rw=randwrite --bs=4k \
        --size=8M --number_ios=64 --iodepth=4 --output="$out" >/dev/null 2>&1 || status=$?
    flushed=$(($(flushes) - before))
    return $status
}
for writer in psync libaio io_uring; do
    write_with $writer none || fail "$writer"
    [ $flushed = 0 ] || fail "$writer: $flushed flushes that nobody asked for"
    for sync in dsync sync; do
        write_with $writer $sync || fail "$writer, $sync"
        [ $flushed -ge 64 ] || fail "$writer, $sync: $flushed flushes for 64 writes"
    done
done
before=$(flushes)
python3 - "$disk" <<'PUNCH'
import ctypes, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_DSYNC)
keep_size_and_punch = 3
if ctypes.CDLL(None, use_errno=True).fallocate(file, keep_size_and_punch, ctypes.c_long(0), ctypes.c_long(4096)):
    sys.exit(os.strerror(ctypes.get_errno()))
PUNCH
[ "$(flushes)" = $((before + 1)) ] || fail "a hole punched with O_DSYNC was not flushed"
echo 'main fail flush 1' >"$mnt/control/inject"
! write_with io_uring dsync || fail "a write succeeded whose flush had failed"
say "O_DSYNC and O_SYNC flush, and fail with their flush"
