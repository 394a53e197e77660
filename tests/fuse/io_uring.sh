#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# FUSE over io_uring where it is asked for: used, or refused with a sentence that says how to have it; and
# where it need not be had, requests come by /dev/fuse. The switch is the machine's and stays as it is.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

make_pair 32M 16M
dd if=/dev/urandom of="$main" bs=1M count=32 conv=notrunc status=none

refused 1 'io_uring is one of auto, on, off' \
    "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,io_uring=yes"
refused 1 'io_uring=on needs engine=ring' \
    "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,io_uring=on,engine=threads"

for io_uring in auto off; do
    mount_disk
    cmp -n $((32 << 20)) "$disk" "$main" || fail "io_uring=$io_uring: the disk is not main"
    unmount_disk
done

if ! io_uring_offered; then
    say "io_uring=on without the kernel's offer: a refusal, and nothing stays mounted or locked"
    refused 2 "enable_uring|Linux 6.14" "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,io_uring=on"
    mountpoint -q "$mnt" && fail "it is mounted all the same"
    wait_until 60 closed || fail "the pair is still locked"
    skip "the kernel offers no FUSE over io_uring; where it can: echo Y > $io_uring_switch"
fi

"$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,io_uring=on,foreground" >"$work/log" 2>&1 &
daemon=$!
wait_until 60 test -e "$disk" || fail "not mounted: $(cat "$work/log")"
grep -q 'requests come by FUSE over io_uring' "$work/log" || fail "it does not say so: $(cat "$work/log")"
cmp -n $((32 << 20)) "$disk" "$main" || fail "the disk is not main"

say "each processor has a queue of its own"
for processor in $(seq 0 $(($(nproc --all) - 1))); do
    taskset -c "$processor" true 2>/dev/null || continue
    put "$main.copy" 0 65536 "$processor"
    taskset -c "$processor" dd if="$main.copy" of="$disk" bs=64k seek="$processor" oflag=direct \
        conv=notrunc status=none
    cmp -n 65536 "$main.copy" <(taskset -c "$processor" dd if="$disk" bs=64k skip="$processor" \
        count=1 iflag=direct status=none) || fail "processor $processor reads something else"
done

unmount_disk
wait "$daemon" || fail "the daemon ended with $?: $(cat "$work/log")"
