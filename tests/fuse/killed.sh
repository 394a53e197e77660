#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A daemon that is killed while a thread of its own waits in the kernel for a page that only it could
# fill ends all the same, lets the pair go, and leaves nobody waiting (fuse/death_watch.h).
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || [ -e /sys/fs/fuse/connections ] || skip "without root the kernel's fusectl is wanted"

make_pair 64M 16M
# While the write to the one block is under way the other one is read through the cache, and the
# write's end then waits for that page.
printf 'main %s\n' 'slow write 544+8 2000' 'slow read 512+8 600000' 'fail write 1000' >"$faults"
"$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,inject=$faults,engine=$engine,io_uring=$io_uring,foreground" \
    >"$work/log" 2>&1 &
pid=$!
disown "$pid"
end_it() {
    kill -KILL "$pid" 2>/dev/null
    closed || umount -f "$mnt"
}
at_end end_it
wait_until 30 test -e "$disk" || fail "no mount: $(cat "$work/log")"

dd if=/dev/zero of="$disk" bs=4k seek=68 count=1 oflag=direct conv=notrunc status=none 2>"$work/written" &
writer=$!
# A call is counted when it begins.
under_way() { grep -qx 'main fail write 999' "$mnt/control/inject"; }
wait_until 20 under_way || fail "the write is not under way: the test proves nothing"
dd if="$disk" of="$work/page" bs=4k skip=64 count=1 status=none 2>"$work/read" &
reader=$!
waits_for_a_page() { cat "/proc/$pid/task"/*/wchan | tr '\0' '\n' | grep -q folio_lock; }
wait_until 20 waits_for_a_page || fail "no thread waits for a page: the test proves nothing"

kill -KILL "$pid"
if ! wait_until 20 closed; then
    umount -f "$mnt" || true # or who looks into it waits, too
    fail "the pair is still held"
fi
! wait "$reader" || fail "the read succeeded"
! wait "$writer" || fail "the write succeeded"
fusermount3 -u "$mnt"
say "a killed daemon is gone, whatever its threads waited for"
