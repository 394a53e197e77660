#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Very many blocks moved by hand, to the spare and back, in one range: with progress shown, with
# flushes that many blocks share, and in memory that does not grow with the range beyond what the
# remaps themselves take. BLOCKS=1000000 for a million (make torture); 8 KiB of disk for each.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"
need python3 script

blocks=${BLOCKS:-40960}
sectors=$((blocks * 8))
control=$mnt/control
small=24576 # KiB; what dmremapctl may take

available=$(df --output=avail -k "$work" | tail -n 1)
[ "$available" -gt $((blocks * 10 + 262144)) ] || skip "$((blocks / 128)) MiB want more room in $work"
make_pair "$((blocks * 4))K" "$((blocks * 9 / 2 + 65536))K"
serve() { # [OPTION]...
    local IFS=,
    "$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare,engine=$engine,$*" 2>"$work/log" &
    daemon=$!
    wait_until 120 test -e "$disk" || fail "no disk: $(cat "$work/log")"
}
stop() {
    fusermount3 -u "$mnt"
    wait "$daemon" || fail "the daemon ended with $?: $(cat "$work/log")"
}
counter() { awk -v name="$1" '$1 == name { print $2 }' "$control/stats"; }

# Noise at both ends, across the ends of pieces, and in the middle; zeros elsewhere.
mib=$((1 << 20))
places=(0 $((16 * mib - 65536)) $((blocks * 2048 - 4096)) $((blocks * 4096 - mib)))
whole() { # FILE: is all of it what it was?
    local i
    for i in "${!places[@]}"; do
        [ "$(at "$1" "${places[$i]}" 131072 iflag=direct)" = "$(noise_sum "place$i" 131072)" ] ||
            fail "another data at ${places[$i]} of $1"
    done
    cmp -s -i $((32 * mib)) -n $((8 * mib)) "$1" /dev/zero || fail "no zeros behind 32 MiB of $1"
}
serve
for i in "${!places[@]}"; do put "$disk" "${places[$i]}" 131072 "place$i"; done
stop

# One read that takes longer than the ten seconds between two lines of progress.
echo "main slow read $((sectors / 2))+8 11000" >"$faults"
serve "inject=$faults"
before=$(peak "$daemon") flushes=$(counter device_flushes)

# ---------------------------------------------------------------- there
in_little $small "$bin/dmremapctl" remap --json "$mnt" 0 $sectors
grep -q "\"changed_blocks\": $blocks," "$out" || fail "not all are remapped: $(cat "$out")"
[ "$(status_word mappings)" = "$blocks" ] || fail "$(status_word mappings) remaps are there"
# No terminal: lines, not a bar.
grep -qE '^remap: +[0-9]+ %  [0-9.]+ [MG]iB of [0-9.]+ [MG]iB  [0-9.]+ [KMG]iB/s  .* left$' "$work/err" ||
    fail "no progress: $(cat "$work/err")"
there=$(($(counter device_flushes) - flushes))
whole "$disk"
moved=$(peak "$daemon")

# What the remaps themselves take shows in a daemon that finds them there.
stop
serve
known=$(peak "$daemon") flushes=$(counter device_flushes)
bound=$((blocks * 32 / 1024 + 4096))
[ $((moved - before)) -lt $((known - before + bound)) ] ||
    fail "to remap $blocks blocks took $((moved - before)) KiB, to know them $((known - before))"

# ---------------------------------------------------------------- and back, on a terminal
script -qec "$(printf '%q ' "$bin/dmremapctl" unmap "$mnt" 0 $sectors)" /dev/null >"$out" ||
    fail "unmap: $(tail -c 300 "$out")"
grep -qE 'unmap \[[#.]{24}\] +[0-9]+ %  .* of .*/s  .* left' "$out" ||
    fail "no bar: $(tail -c 300 "$out")"
grep -q "$blocks blocks brought back to main, 0 were so already, 0 refused" "$out" ||
    fail "not all came back: $(tail -c 300 "$out")"
[ "$(status_word mappings)" = 0 ] || fail "$(status_word mappings) blocks stayed on the spare"
back=$(($(counter device_flushes) - flushes))
grown=$(($(peak "$daemon") - known))
[ $grown -lt $bound ] || fail "to bring $blocks blocks back took $grown KiB"
whole "$disk"
say "$blocks blocks: there $there flushes and $((moved - known)) KiB, back $back flushes and $grown KiB"
# For itself each would take three: for the data, and for the entry's two copies. How many share them
# depends on how long they take, for a message that takes too long at once could not be interrupted.
[ $there -lt $((blocks / 2)) ] || fail "$there flushes to remap $blocks blocks"
[ $back -lt $((blocks / 2)) ] || fail "$back flushes to bring $blocks blocks back"
[ "$(cat "$control/state")" = healthy ] || fail "state: $(cat "$control/reasons")"
stop
whole "$main"
ctl check "$spare" >"$out" || fail "check: $(cat "$out")"
