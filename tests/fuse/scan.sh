#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A scan through a mount: it finds what is bad and nothing else while fio writes and verifies; it is
# paused, killed with its daemon, and goes on where it was.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need fio

control=$mnt/control
sectors=$((256 * 2048))
word() { cut -d ' ' -f "$1" "$control/rescan"; }
state_is() { [ "$(word 5)" = "$1" ]; }
done_sectors() { word 1 | cut -d / -f 1; }
order() { echo "$1" >"$control/rescan"; }
found_sectors() { awk '$4 == "scan" { print $1 }' "$control/remaps"; }
daemon() { { find /proc/[0-9]*/fd -lname "$spare" 2>/dev/null || true; } | head -n 1 | cut -d / -f 3; }

# ---------------------------------------------------------------- killed in the middle
make_pair 256M 32M
expected=()
for sector in 8 100001 262144 262152 400000 $((sectors - 1)); do
    bad read "$sector" 1
    expected+=($((sector / 8 * 8)))
done
mount_disk
[ "$(cat "$control/rescan")" = "0/$sectors 0 - 0 idle" ] || fail "a new disk: $(cat "$control/rescan")"
echo 65536 >"$control/params/scan_speed_max"
order start
more_than() { [ "$(done_sectors)" -gt "$1" ]; }
wait_until 60 more_than $((96 * 2048)) || fail "the scan does not get on: $(cat "$control/rescan")"
order pause
state_is paused || fail "not paused: $(cat "$control/rescan")"
at=$(done_sectors)
kill -9 "$(daemon)"
wait_until 60 closed || fail "the daemon is still there"
fusermount3 -u -z "$mnt"
mount_disk
state_is paused || fail "the pause was forgotten: $(cat "$control/rescan")"
[ "$(done_sectors)" = "$at" ] || fail "the place was forgotten: $(done_sectors), not $at"
order resume
wait_until 60 more_than "$at" || fail "the scan does not go on: $(cat "$control/rescan")"
kill -9 "$(daemon)"
wait_until 60 closed || fail "the daemon is still there"
fusermount3 -u -z "$mnt"
mount_disk
[ "$(done_sectors)" -ge "$at" ] || fail "it began anew after a kill"
echo 0 >"$control/params/scan_speed_max"
ctl scan "$mnt" wait >"$out" 2>&1
state_is idle || fail "wait came back early: $(cat "$control/rescan")"
[ "$(found_sectors | tr '\n' ' ')" = "${expected[*]} " ] ||
    fail "found $(found_sectors | tr '\n' ' '), not ${expected[*]}"
grep -q '"kind":"scan_ended"' "$control/events" || fail "no event of the end"
! grep -q '"kind":"recovered"' "$control/events" || say "the kill met a commit"
unmount_disk
say "a killed scan went on where it was"

# ---------------------------------------------------------------- beside a writer
make_pair 256M 64M
: >"$faults"
bad write 20000 64
bad write 300000 8
mount_disk
order start
fio --name=verify --filename="$disk" --rw=randwrite --bs=4k --size=256M --io_size=48M --direct=1 \
    --ioengine=psync --verify=crc32c --verify_state_save=0 --verify_fatal=1 --numjobs=1 --output="$work/fio" &
fio=$!
passes=0
while kill -0 $fio 2>/dev/null; do
    if state_is idle; then
        passes=$((passes + 1))
        order start
    fi
done
wait $fio || fail "fio: $(cat "$work/fio")"
ctl scan "$mnt" stop >"$out"
[ "$(grep -c . <(found_sectors))" = 0 ] || fail "the scan invented bad blocks"
[ "$(awk '$1 == "lost_sectors" { print $2 }' "$control/stats")" = 0 ] || fail "sectors were lost"
unmount_disk
say "nothing was wrong beside $passes scans and a started one"
