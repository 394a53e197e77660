#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# P8: who writes something wrong to a control file gets an errno, which says little, and the log a line
# that names the file and says what was expected. Of every file that can be written.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

control=$mnt/control
make_pair 16M 16M
echo '# nothing' >"$faults"
"$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare,engine=$engine,inject=$faults" \
    2>"$work/log" &
daemon=$!
wait_until 60 grep -q 'is mounted on' "$work/log" || fail "no disk: $(cat "$work/log")"

longer_than() { [ "$(wc -l <"$work/log")" -gt "$1" ]; }

# logs FILE TEXT ERROR WORDS: the write fails with this error, and the log has gained one line, these
# words of this file.
logs() {
    local before got=0
    before=$(wc -l <"$work/log")
    dd of="$control/$1" conv=notrunc bs=4K status=none <<<"$2" 2>"$out" || got=$?
    [ "$got" != 0 ] || fail "control/$1 took '$2'"
    grep -q "$3" "$out" || fail "control/$1 refused '$2' with another error: $(cat "$out")"
    # Nobody waits for the log, so the line may come after the answer.
    wait_until 60 longer_than "$before" || fail "control/$1: '$2' logged nothing"
    tail -n +$((before + 1)) "$work/log" >"$out"
    [ "$(wc -l <"$out")" = 1 ] || fail "control/$1: '$2' logged $(wc -l <"$out") lines: $(cat "$out")"
    grep -qF -- "control/$1: $4" "$out" || fail "control/$1: '$2' logged: $(cat "$out")"
    tried[$1]=1
}
declare -A tried

no='Invalid argument'
logs message frobnicate "$no" '"frobnicate" is no message; expected one of help status stats health'
logs message 'remap 8 x' "$no" '"x" is no number of sectors; expected: remap SECTOR [COUNT]'
logs message 'query 32768' "$no" 'the disk has 32768 sectors, from 0 on'
logs message 'set colour blue' 'No such file' \
    'there is no such parameter; expected one of read_retries remap_on_read_error'
logs message 'set real_device_mode N' 'Operation not permitted' \
    'real_device_mode cannot be changed while the disk is open'
logs rescan now "$no" '"now" is not known of a scan; expected: scan start [SECTOR COUNT] | stop | pause'
logs rescan 'start 8' "$no" 'a count is missing; expected: scan start [SECTOR COUNT]'
logs rescan pause 'No such file' 'no scan is under way'
logs inject 'main bad raed 8' "$no" 'Fault rules, line 1: found "raed" where read, write or all was expected'
# NAME:LEAST:MOST, or NAME of a flag. Twice: of a number that is out of range, and of no number.
for parameter in read_retries:0:20 lost_retry_minutes:0:527040 breaker_regions:0:1000000 \
    scan_interval_hours:1:8784 scan_speed_max:0:1073741824 map_width:8:1024 dm_remap_debug:0:3 \
    remap_on_read_error enable_background_scanning relocate_weak; do
    IFS=: read -r name least most <<<"$parameter"
    wanted="a number from $least to $most"
    [ -n "$most" ] || wanted='Y or N'
    for value in $((most + 1)) perhaps $'\e[31m'; do
        [ -n "$most" ] || [ "$value" != 1 ] || value=2
        logs "params/$name" "$value" "$no" \
            "$name takes $wanted, not \"$(tr '\033' '?' <<<"$value")\""
    done
done

find "$control" -type f -perm /u+w -printf '%P\n' >"$work/writable"
while read -r name; do
    [ -n "${tried[$name]-}" ] || fail "control/$name can be written, and nobody knows what it logs"
done <"$work/writable"
[ "$(wc -l <"$work/writable")" = "${#tried[@]}" ] || fail "other files were tried: ${!tried[*]}"
fusermount3 -u "$mnt"
wait "$daemon" || fail "the daemon ended with $?: $(cat "$work/log")"
say "whoever writes rubbish to one of ${#tried[@]} files can read what was expected"
