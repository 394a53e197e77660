#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon is killed with SIGKILL over and over: under load, while it opens (recovers) and while it
# closes, on devices with bad, slow and now and then failing spots; and mounted again each time.
#
# Proves: nothing that was acknowledged lives in the daemon's memory alone. After each kill every
# sector holds the version last acknowledged, or the one that was under way; only what was bad on
# main before it was ever written is lost; the spare needs no more than an opening, and is clean at
# the end (P1, P2, P3). Killing a process takes nothing from the page cache, so acknowledged is here
# as much as fsynced is elsewhere, and is what is asked for.
# Does not prove: anything about a power cut, which takes caches away and tears writes, so neither
# that a flush is where it must be: that is what the crash points are for (tests/crash).
#
# DMREMAP_CYCLES=500 or DMREMAP_SECONDS=600 go on longer; DMREMAP_SEED=N repeats faults and load.
# When a kill falls is told in acknowledged requests or write calls, but where other threads are then
# is not repeated.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need fio

seed=${DMREMAP_SEED:-1}
[ -n "${DMREMAP_SEED:-}" ] || [ -z "${DMREMAP_SECONDS:-}" ] || seed=$((SRANDOM % 1000000))
cycles=${DMREMAP_CYCLES:-20}
seconds=${DMREMAP_SECONDS:-0}
RANDOM=$((seed % 32768))
sectors=$((16 * 2048)) # of main that hold stamps; fio has the rest
state=$work/state
again="DMREMAP_SEED=$seed DMREMAP_CYCLES=$cycles $0"
say "seed $seed ($again repeats it)"

stamp() { "$bin/stamp" "$@" >"$out" 2>&1 || fail "$(cat "$out") ($again)"; }
# pick LIMIT: sets $n. Not by its output: a subshell has random numbers of its own.
pick() { n=$(((RANDOM << 15 | RANDOM) % $1)); }

# ---------------------------------------------------------------- devices

# Dead spots, with what was there at first; spots that take no writes; slots that take none; slow
# metadata, so that a kill meets commits half done; and sometimes a page of one table copy.
faults_for_good() {
    local i
    : >"$faults"
    for i in {1..12}; do
        pick $((sectors - 32))
        bad all "$n" $((1 + RANDOM % 24))
        pick $((sectors - 32))
        bad write "$n" $((1 + RANDOM % 24))
    done
    for i in {1..6}; do
        bad write $((2048 + 256 + RANDOM % 4096)) 8 spare
    done
    [ $((RANDOM % 2)) = 0 ] || bad write 2048 8 spare
    cp "$faults" "$work/for-good"
}

# What passes: reads that fail twice, calls that fail once. Other ones each time, and further spots
# that take no writes, which stay.
faults_of_cycle() {
    local i
    : >"$faults"
    for i in {1..6}; do
        pick $((sectors - 64))
        bad write "$n" $((1 + RANDOM % 24))
    done
    cp "$faults" "$work/fresh"
    cat "$work/fresh" >>"$work/for-good"
    cp "$work/for-good" "$faults"
    pick $((sectors - 64))
    {
        echo "main bad read $n+64 times=2"
        echo "main fail write $((1 + RANDOM % 300)) error=ETIMEDOUT"
        echo "main fail read $((1 + RANDOM % 300))"
        echo "spare fail write $((40 + RANDOM % 300))"
        echo "spare slow write 2048+64 $((1 + RANDOM % 4))"
        echo "spare slow write 128+8 $((1 + RANDOM % 4))"
    } >>"$faults"
}

# ---------------------------------------------------------------- killing

# Write calls of a process so far; nothing when it is gone.
write_calls() { sed -n 's/^syscw: //p' "/proc/$1/io" 2>/dev/null; }

# A foreground daemon in $pid, in what state it may be.
start_daemon() {
    "$bin/mount.dmremapfs" "$main" "$mnt" -o "spare=$spare,inject=$faults,engine=$engine,foreground" >"$work/log" 2>&1 &
    pid=$!
    disown "$pid" # the shell would tell of each that was killed
}

alive() { kill -0 "$pid" 2>/dev/null; }
gone() { ! alive; }

# A daemon that cannot end would keep everybody waiting who looks into its mount.
cut_off() {
    local number
    number=$(awk -v mnt="$mnt" '$5 == mnt { sub(/.*:/, "", $3); print $3 }' /proc/self/mountinfo | tail -n 1)
    echo 1 >"/sys/fs/fuse/connections/$number/abort"
}

clear_away() {
    if ! wait_until 30 gone; then
        cut_off || true
        fail "process $pid did not end by itself ($again)"
    fi
    while grep -q " $mnt fuse.dmremapfs " /proc/self/mounts; do fusermount3 -u -z "$mnt"; done
}
kill_at_end() {
    [ -n "${pid:-}" ] || return 0
    kill -KILL "$pid" 2>/dev/null || true
    clear_away
}
at_end kill_at_end

# The daemon itself looks into a fresh mount for a moment.
unmount() { wait_until 10 fusermount3 -u -q "$mnt" || fail "it cannot be unmounted ($again)"; }

# kill_after CALLS CONDITION...: kills $pid once it has made so many more write calls, or the
# condition holds, or it ended by itself.
kill_after() {
    local end calls
    calls=$(write_calls "$pid") || true
    end=$((${calls:-0} + $1))
    shift
    until "$@" || ! calls=$(write_calls "$pid") || [ "${calls:-$end}" -ge "$end" ]; do :; done
    kill -KILL "$pid" 2>/dev/null || true # it may have just ended
    clear_away
}

mounted() { [ -e "$disk" ]; }
mounted_or_gone() { mounted || gone; }
never() { false; }

kill_while_opening() {
    start_daemon
    kill_after $((RANDOM % 16)) mounted
}

kill_while_closing() {
    unmount
    kill_after $((RANDOM % 10)) never
}

mount_again() {
    start_daemon
    wait_until 30 mounted_or_gone || fail "no mount after 30 s ($again)"
    mounted || fail "it does not mount any more: $(cat "$work/log") ($again)"
}

# What a kill leaves is at most what an opening repairs.
nothing_fatal() {
    ctl check --json "$spare" >"$out" 2>&1 || true
    grep -q '"fatal": \[\]' "$out" || fail "check finds what cannot be repaired ($again)"
}

# ---------------------------------------------------------------- the test

fresh_pair() {
    make_pair 24M 16M
    "$bin/stamp" fill "$state" "$main" "$sectors"
    faults_for_good
}

opening=0
closing=0
acknowledged=0
cycle=0
while [ "$cycle" -lt "$cycles" ] || [ "$SECONDS" -lt "$seconds" ]; do
    # Sooner or later no block is left that could go bad.
    [ $((cycle % 40)) != 0 ] || fresh_pair
    cycle=$((cycle + 1))
    faults_of_cycle
    while [ $((RANDOM % 3)) = 0 ]; do
        kill_while_opening
        opening=$((opening + 1))
    done
    mount_again
    stamp verify "$state" "$disk" "$work/for-good"
    # Somebody who reads through the page cache, for whose pages the writes may wait.
    (while alive; do cat "$disk"; done >/dev/null 2>&1) &
    reader=$!
    stamp write "$state" "$disk" "$work/fresh" $((seed + cycle)) $((1 + RANDOM % 500)) "$pid"
    acknowledged=$((acknowledged + $(cut -d ' ' -f 1 "$out")))
    clear_away
    wait "$reader" || true
    nothing_fatal
    if [ $((RANDOM % 3)) = 0 ]; then
        mount_again
        kill_while_closing
        closing=$((closing + 1))
        nothing_fatal
    fi
done

# All of it once more, with fio's own stamps beside ours, through two closes in order.
verify() {
    fio --name=beside --filename="$disk" --offset=16M --size=8M --rw=randwrite --bsrange=512-64k \
        --verify=crc32c --verify_state_save=0 --verify_fatal=1 --fallocate=none --allow_file_create=0 --randseed=1 \
        --direct=1 --ioengine=libaio --iodepth=8 --end_fsync=1 --verify_state_save=0 --output="$out" "$@" ||
        fail "fio $* ($again)"
}
for round in first second; do
    mount_again
    stamp verify "$state" "$disk" "$work/for-good"
    verify
    verify --verify_only
    remapped=$(status_word mappings)
    unmount
    clear_away
    ctl check "$spare" >"$out" || fail "check is not content after the $round close ($again)"
done
[ "$remapped" -gt 20 ] || fail "only $remapped blocks were remapped: the faults did not bite ($again)"
[ $((opening + closing)) -gt 0 ] || fail "no kill while opening or closing"
say "$cycle kills under load, $opening while opening, $closing while closing;" \
    "$acknowledged acknowledged requests, $remapped remapped blocks, every sector right"
