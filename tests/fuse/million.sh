#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A million remaps through a real mount: listed, exported, drawn, each whole and right, and neither
# the daemon nor dmremapctl holds more memory for it than a bounded part of what it says.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/lib.sh"
need python3

remaps=1000000
every=10 # tests/bench/many_remaps.h: the blocks 0, 10, 20, ... of main are remapped
control=$mnt/control

"$bin/remapped" "$main" "$spare" $remaps || fail "the pair could not be made"
"$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare,engine=$engine" 2>"$work/log" &
daemon=$!
wait_until 120 test -e "$disk" || fail "no disk: $(cat "$work/log")"
[ "$(status_word mappings)" = $remaps ] || fail "$(status_word mappings) remaps are there"

before=$(peak $daemon)

# The list is 60 MB of text; none of these may hold it.
small=24576

# ---------------------------------------------------------------- listed
# Every line is looked at: sectors and order, one slot each, the reason, nothing lost.
cat >"$work/judge.py" <<'END'
import sys
remaps, every = int(sys.argv[1]), int(sys.argv[2])
slots, expected = bytearray(2 * remaps), 0
for line in sys.stdin:
    if line.startswith("#"):
        continue
    sector, slot, spare, reason, time, lost, retry = line.split()
    if int(sector) != expected * every * 8:
        sys.exit(f"line {expected}: {line}")
    if slots[int(slot)]:
        sys.exit(f"slot {slot} comes twice")
    if reason != "scan" or (lost, retry) != ("0x00", "0x00"):
        sys.exit(f"line {expected}: {line}")
    slots[int(slot)] = 1
    expected += 1
if expected != remaps:
    sys.exit(f"{expected} lines")
END
python3 "$work/judge.py" $remaps $every <"$control/remaps" 2>"$out" || fail "remaps: $(cat "$out")"
# However it is cut.
sum=$(sha256sum <"$control/remaps")
[ "$(dd if="$control/remaps" bs=5003 status=none | sha256sum)" = "$sum" ] ||
    fail "remaps in small reads says something else"

# ---------------------------------------------------------------- exported
in_little $small "$bin/dmremapctl" metrics "$mnt"
grep -qE "^dmremap_active_mappings\{.*\} $remaps$" "$out" || fail "metrics: $(grep -i mapping "$out")"
in_little $small "$bin/dmremapctl" stats --json "$mnt"
grep -q "\"active_mappings\": $remaps" "$out" || fail "stats --json"
in_little $small "$bin/dmremapctl" status --json "$mnt"
grep -q "\"active_mappings\": $remaps" "$out" || fail "status --json"
in_little $small "$bin/dmremapctl" events --json "$mnt"
python3 - "$out" <<'END' || fail "events --json"
import json, sys
events = json.load(open(sys.argv[1]))["events"]
assert 1000 <= len(events) <= 4000, len(events)
END
in_little $small "$bin/dmremapctl" query --json "$mnt" $((every * 8 * (remaps - 1) + 3))
grep -q '"reason": "scan"' "$out" || fail "query of the last one: $(cat "$out")"

# ---------------------------------------------------------------- drawn
# Each cell has remapped blocks, so that all are drawn as such.
in_little $small "$bin/dmremapctl" map --json "$mnt"
grep -qE '"glyphs": "o+"' "$out" || fail "map --json"
grep -q "\"remapped_blocks\": $remaps" "$out" || fail "map --json counts otherwise"
grep -qE '^ *0 o+$' "$control/map" || fail "control/map: $(head -n 3 "$control/map")"
in_little $small "$bin/dmremapctl" map --svg "$work/map.svg" "$mnt"
[ "$(stat -c %s "$work/map.svg")" -lt $((1 << 20)) ] || fail "the SVG is as long as the list"
grep -q "remapped: $remaps blocks, 10 %" "$work/map.svg" || fail "the shares in the SVG"
[ "$(wc -l <"$work/map.svg")" -gt 64 ] || fail "the SVG has no cells"
in_little $small "$bin/dmremapctl" watch --count 1 "$mnt"
grep -q "slots: *$remaps used" "$out" || fail "watch: $(head -n 12 "$out")"

# ---------------------------------------------------------------- what it took
# An open listing has 40 bytes a remap, and 72 while it is begun. The one before may still be about to
# be closed when the next is opened. None stays, but the C library keeps some of what was freed.
grown=$(($(peak $daemon) - before))
[ "$grown" -lt $((112 * remaps / 1024 + 49152)) ] || fail "the daemon took $grown KiB more for it"
given_back() { [ "$(awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status")" -lt $((before + 131072)) ]; }
wait_until 60 given_back ||
    fail "the daemon keeps what it took, and had $before KiB: $(grep VmRSS "/proc/$daemon/status")"
# And the disk works, on main and in slots.
cmp -n 1048576 "$disk" /dev/zero ||
    fail "the disk reads as something else"
[ "$(cat "$control/state")" != failed ] || fail "the disk failed"
fusermount3 -u "$mnt"
wait "$daemon" || fail "the daemon ended with $?: $(cat "$work/log")"
say "a million remaps listed, exported and drawn; the daemon took $grown KiB more for it"
