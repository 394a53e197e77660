#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The control directory through a real mount: each file with good and bad input, modes and owners,
# messages and their answers, parameters that persist, and writes of rubbish while data moves.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"

control=$mnt/control
sectors=$((32 << 11))

# reads NAME REGEX: the whole of control/NAME, as lines.
reads() { grep -qE -- "$2" "$control/$1" || fail "control/$1 has no /$2/: $(head -n 5 "$control/$1")"; }
# asks MESSAGE REGEX: through one descriptor; the answer goes to $out.
asks() {
    local got=0
    exec 7<>"$control/message"
    printf '%s\n' "$1" >&7 2>/dev/null || got=$?
    cat <&7 >"$out"
    exec 7>&-
    [ "$got" = 0 ] || fail "message '$1' failed: $(cat "$out")"
    grep -qE -- "$2" "$out" || fail "message '$1' has no /$2/ in its answer"
}
# refuses FILE TEXT ERROR: the write must fail with this error.
refuses() {
    local got=0
    LC_ALL=C dd of="$control/$1" conv=notrunc bs=4K status=none <<<"$2" 2>"$out" || got=$?
    [ "$got" != 0 ] || fail "control/$1 took '$2'"
    grep -q "$3" "$out" || fail "control/$1 refused '$2' with another error: $(cat "$out")"
}

make_pair 32M 32M
bad read 4104 1
mount_disk

# ---------------------------------------------------------------- what there is
for name in status state reasons health uuid version stats stats.json metrics remaps events map \
    weak rescan message params; do
    [ -e "$control/$name" ] || fail "no control/$name"
done
[ "$(find "$control" -type f | wc -l)" = 27 ] || fail "other files than those known: $(find "$control")"
[ "$(stat -c %a:%u "$control/status" "$control/message" "$control/params/map_width" \
    "$control/params/real_device_mode" | tr '\n' ' ')" = \
    "444:$(id -u) 600:$(id -u) 644:$(id -u) 444:$(id -u) " ] || fail "modes or owners"
for name in nothing params/status read_retries; do
    [ ! -e "$control/$name" ] || fail "there is a control/$name"
done
[ "$(stat -c %i "$control/params/..")" = "$(stat -c %i "$control")" ] || fail "params/.. is not control"

[ "$(cat "$control/state")" = healthy ] || fail "state"
[ -z "$(cat "$control/reasons")" ] || fail "reasons of a healthy disk"
reads status "^0 $sectors dm-remap-v4 v4\.0-real $main $spare [0-9]+ [0-9]+ 0 0 0 [0-9]+ [0-9]+ real$"
reads health '^advice none$'
reads events '"kind":"opened".*"text":"clean"'
python3 -c 'import json,sys; json.load(sys.stdin)' <"$control/stats.json" 2>"$out" ||
    fail "stats.json is no JSON: $(cat "$out")"
if command -v promtool >/dev/null; then
    promtool check metrics <"$control/metrics" >"$out" 2>&1 || fail "promtool: $(cat "$out")"
fi

# ---------------------------------------------------------------- messages
asks help '^unmap SECTOR'
asks 'query 80' '^place main$'
asks 'remap 80 16' '^changed_blocks 2$'
asks 'query 83' '^place spare$'
grep -q '^reason manual$' "$out" || fail "query says another reason"
[ "$(status_word mappings)" = 2 ] || fail "remap by hand"
# Two opens, as echo and cat do.
echo 'unmap 80' >"$control/message"
grep -q '^changed_blocks 1$' "$control/message" || fail "the last answer is not kept"
asks 'unmap 0 100' '^changed_blocks 1$'
# A lost sector: what is said, and that only force gives it back to main.
dd if="$disk" of=/dev/null bs=4K skip=513 count=1 iflag=direct status=none 2>"$out" && fail "no EIO"
[ "$(cat "$control/state")" = degraded ] || fail "not degraded with a lost sector"
reads reasons '^lost_sectors: '
reads remaps '^4104 [0-9]+ [0-9]+ read_error [0-9]+ 0x01 0x01$'
reads health '^advice run salvage'
asks salvage '^lost_sectors 1$'
refuses message 'unmap 4104' 'No data available'
grep -q '^error the block at sector 4104 was left' "$control/message" || fail "no sentence for a refused unmap"
asks 'unmap 4104 8 force' '^changed_blocks 1$'
[ "$(cat "$control/state")" = healthy ] || fail "the cause outlived the lost sector"
asks stats '^remaps_manual 2$'
asks clear_stats cleared
reads stats '^remaps_manual 0$'
[ "$(status_word remaps)" = 0 ] || fail "clear_stats and the status line"

# ---------------------------------------------------------------- bad input
for message in '' frobnicate 'remap' 'remap -1' 'remap 0x10' "remap $sectors" 'remap 8 0' \
    'remap 0 99999999999999999999' 'query 1 2' 'set' 'set read_retries' 'set read_retries 21' \
    "$(head -c 3000 /dev/zero | tr '\0' x)"; do
    refuses message "$message" 'Invalid argument'
done
refuses message 'set no_such_parameter 1' 'No such file'
refuses message 'scan pause' 'No such file'
refuses message "scan start $sectors 1" 'Invalid argument'
refuses rescan now 'Invalid argument'
[ "$(status_word mappings)" = 0 ] || fail "a refused message had an effect"
for name in status events stats.json params/real_device_mode; do
    chmod 666 "$control/$name" 2>"$out" && fail "chmod of control/$name"
    (echo x >"$control/$name") 2>"$out" && fail "control/$name can be written"
done
rm "$control/status" 2>"$out" && fail "control/status can be removed"
touch "$control/new" 2>"$out" && fail "files can be made"

# ---------------------------------------------------------------- parameters
for name in read_retries:0:20 lost_retry_minutes:0:527040 breaker_regions:0:1000000 \
    scan_interval_hours:1:8784 map_width:8:1024 dm_remap_debug:0:3; do
    IFS=: read -r name least most <<<"$name"
    before=$(cat "$control/params/$name")
    for value in -1 $((most + 1)) x "$least $most" 1e3 '' 99999999999999; do
        refuses "params/$name" "$value" 'Invalid argument'
    done
    [ "$(cat "$control/params/$name")" = "$before" ] || fail "a refused write changed $name"
    for value in "$least" "$most"; do
        echo "$value" >"$control/params/$name"
        [ "$(cat "$control/params/$name")" = "$value" ] || fail "$name does not take $value"
    done
    echo "$before" >"$control/params/$name"
done
for name in enable_background_scanning remap_on_read_error; do
    refuses "params/$name" 2 'Invalid argument'
    for pair in n:N 1:Y off:N on:Y 0:N Y:Y; do
        echo "${pair%:*}" >"$control/params/$name"
        [ "$(cat "$control/params/$name")" = "${pair#*:}" ] || fail "$name: ${pair%:*}"
    done
done
echo 100 >"$control/params/map_width"
[ "$(sed -n 2p "$control/map" | wc -c)" -ge 100 ] || fail "map_width"

# ---------------------------------------------------------------- while data moves
asks 'remap 0 16384' '^changed_blocks 2048$'
reads map '^ *0 ooooo'
cat "$control/remaps" >"$work/remaps"
[ "$(wc -l <"$work/remaps")" = 2049 ] || fail "remaps has $(wc -l <"$work/remaps") lines"
dd if="$control/remaps" bs=777 status=none | cmp - "$work/remaps" || fail "remaps in small reads"
# Numbers, moves and rubbish to each file that can be written, and a look at all others.
(
    round=0
    while [ ! -e "$work/enough" ]; do
        echo $((RANDOM % 21)) >"$control/params/read_retries"
        for name in message params/{read_retries,map_width,enable_background_scanning}; do
            head -c $((RANDOM % 80)) /dev/urandom >"$control/$name" || :
        done 2>/dev/null
        # Not the bad sector: main would rightly not take it back.
        first=$((8192 + RANDOM * 2 % (sectors - 8192))) count=$((RANDOM % 64 + 1))
        [ $((first + count)) -le "$sectors" ] || continue
        echo "remap $first $count" >"$control/message" || exit 1
        echo "unmap $first $count" >"$control/message" || exit 1
        cat "$control"/{remaps,events,metrics,map,stats.json} >/dev/null
        echo $((++round)) >"$work/rounds"
    done
) 2>"$work/rubbish" &
rubbish=$!
if command -v fio >/dev/null; then
    fio --name=beside --filename="$disk" --offset=8M --size=16M --rw=randwrite --bsrange=512-64k \
        --verify=crc32c --verify_state_save=0 --verify_fatal=1 --fallocate=none --direct=1 \
        --allow_file_create=0 --ioengine=libaio --iodepth=8 --output="$out" ||
        fail "fio while the control files are written: $(cat "$out")"
else
    say "fio is absent: only dd looks at the data meanwhile"
fi
for round in 1 2 3 4; do
    put "$disk" 0 $((8 << 20)) "moving$round"
    [ "$(at "$disk" 0 $((8 << 20)) iflag=direct)" = "$(noise_sum "moving$round" $((8 << 20)))" ] ||
        fail "another data while parameters and blocks changed"
done
wait_until 60 test -s "$work/rounds" || fail "not one round of messages went through"
touch "$work/enough"
wait "$rubbish" || fail "a message that is right was refused: $(cat "$work/rubbish")"
[ "$(cat "$control/state")" = healthy ] || fail "rubbish changed the state: $(cat "$control/reasons")"
echo 7 >"$control/params/read_retries"

unmount_disk
mount_disk
[ "$(cat "$control/params/read_retries")" = 7 ] || fail "a parameter did not persist"
[ "$(cat "$control/params/map_width")" = 64 ] || fail "map_width outlived its mount"
[ "$(at "$disk" 0 $((8 << 20)))" = "$(noise_sum moving4 $((8 << 20)))" ] || fail "data after a remount"
unmount_disk

# ---------------------------------------------------------------- read-only; owners
mount_disk ro
refuses message 'remap 0' 'Read-only file system'
refuses message salvage 'Read-only file system'
refuses params/read_retries 1 'Read-only file system'
reads health '^state read_only$'
unmount_disk
mount_disk uid=4711,gid=815,umask=027
[ "$(stat -c %a:%u:%g "$disk" "$control" "$control/status" "$control/params/map_width" |
    tr '\n' ' ')" = "640:4711:815 550:4711:815 440:4711:815 640:4711:815 " ] ||
    fail "uid, gid, umask: $(stat -c '%n %a:%u:%g' "$disk" "$control" "$control/status" "$control/params/map_width")"
say "control files, messages and parameters do what they say"
