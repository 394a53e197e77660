#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every verb for a disk that is up, in text and as JSON, with good and bad words, through a mount.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"

says() { grep -qE -- "$1" "$out" || fail "no '$1' in the answer: $(head -n 5 "$out")"; }
answer() { ctl "$@" >"$out" 2>"$work/err" || fail "dmremapctl $*: exit $?: $(cat "$work/err")"; }

make_pair 64M 32M
bad read 4104 1
bad write 8192 8
mount_disk
uuid=$(cat "$mnt/control/uuid")

# ---------------------------------------------------------------- moving blocks
answer remap "$mnt" 83 8
says '^2 blocks remapped, 0 were so already, 0 refused$'
answer remap --json "$mnt" 80 24
says '"changed_blocks": 1'
says '"unchanged_blocks": 2'
says '"first_refused_sector": null'
answer query "$mnt" 83
says 'place: +spare'
answer query --json "$mnt" 83
says '"place": "spare"'
says '"reason": "manual"'
says '"lost": false'
answer query --json "$mnt" 79
says '"place": "main"'
answer unmap "$mnt" 80 24
says '^3 blocks brought back to main'
# A long range goes out in pieces, and what is refused is counted and said.
answer remap "$mnt" 0 49152
says '^6144 blocks remapped'
refused 1 'the block at sector 4104 was left as it was: sectors of it are lost' \
    ctl unmap "$mnt" 0 131072
says '^6142 blocks brought back to main, 10240 were so already, 2 refused$'
refused 1 '"first_refused_sector": 4104' ctl unmap --json "$mnt" 4096 8192
answer salvage "$mnt"
says '^0 sectors came back, 1 are lost, of which 1 '
answer salvage --json "$mnt"
says '"lost_sectors": 1'
answer map "$mnt"
says '^ *0 -*X'
answer map --json --width 16 "$mnt"
says '"lost_sectors": 1'
says '"glyphs": "[-Xo]{256}"'
answer map --svg "$work/map.svg" "$mnt"
grep -q '^</svg>$' "$work/map.svg" || fail "no whole SVG"
grep -q 'lost: 1 sector, ' "$work/map.svg" || fail "no legend in the SVG"
grep -q 'from sector 4096 on, 1 remapped block, 1 lost sector' "$work/map.svg" ||
    fail "the densest place has no label"
touch "$work/linked.svg"
ln -s linked.svg "$work/link.svg"
mkfifo "$work/pipe.svg"
answer map --svg "$work/link.svg" "$mnt"
[ -L "$work/link.svg" ] || fail "a link was replaced"
cmp "$work/linked.svg" "$work/map.svg" || fail "a link was not written through"
cat "$work/pipe.svg" >"$work/piped.svg" &
answer map --svg "$work/pipe.svg" "$mnt"
wait $!
[ -p "$work/pipe.svg" ] || fail "a pipe was replaced"
cmp "$work/piped.svg" "$work/map.svg" || fail "a pipe was not written to"
if command -v xmllint >/dev/null; then xmllint --noout "$work/map.svg" || fail "the SVG is no XML"; fi
answer unmap --force "$mnt" 4104 8
says '^1 block brought back'

# ---------------------------------------------------------------- scan
answer scan "$mnt"
says '^ *scan: +idle'
says 'last pass ended: +never'
refused 1 'no scan is under way' ctl scan "$mnt" pause
refused 2 'is nothing to do with a scan' ctl scan "$mnt" begin
refused 2 'only start takes more words' ctl scan "$mnt" stop 8 8
refused 2 'only start takes more words' ctl scan "$mnt" start 8
refused 1 'the range is not within them' ctl scan "$mnt" start 131072 1
echo 'main bad read 100000' >"$mnt/control/inject"
answer scan "$mnt" start
answer scan --json "$mnt" wait
says '"state": "idle"'
says '"found_blocks": [1-9]'
says '"passes": 1'
[ "$(cat "$mnt/control/rescan")" = "131072/131072 0 - $(
    grep -oE '"found_blocks": [0-9]+' "$out" | grep -oE '[0-9]+'
) idle" ] || fail "control/rescan: $(cat "$mnt/control/rescan")"
answer query --json "$mnt" 100000
says '"reason": "scan"'
echo "start 0 8" >"$mnt/control/rescan" || fail "control/rescan takes no start"
answer scan "$mnt" wait
answer scan "$mnt" stop

# ---------------------------------------------------------------- numbers
answer stats "$mnt"
says 'size_bytes: +64.0 MiB'
answer stats --json "$mnt"
says '"remaps_manual": [1-9]'
answer health "$mnt"
says "^ *last scan: +20[0-9]{2}-"
says 'advice: +'
says 'score: +[0-9]+$'
says 'because: +[0-9]+ blocks? of main had to be remapped\.'
says 'spare full: +not enough history'
answer health --json "$mnt"
says '"slots_free": [1-9]'
answer metrics "$mnt"
says "^dmremap_size_bytes\{uuid=\"$uuid\",name=\".*\"\} 67108864$"
answer metrics --output "$work/dm remap.prom" "$mnt"
[ ! -s "$out" ] || fail "metrics --output prints besides"
grep -q '^dmremap_lost_sectors' "$work/dm remap.prom" || fail "metrics --output"
[ "$(stat -c %a "$work/dm remap.prom")" = 644 ] || fail "the collector may not read the metrics"
refused 1 'cannot be made' ctl metrics --output "$work/no/such/folder" "$mnt"
[ "$(find "$work" -name '*.prom*' | wc -l)" = 1 ] || fail "metrics --output leaves something behind"
answer events "$mnt"
says ' remapped +80 +3 '
answer events --json "$mnt"
says '"kind": "unmapped"'
answer watch --count 2 --interval 1 "$mnt"
[ "$(grep -c 'advice:' "$out")" = 2 ] || fail "watch --count 2"
answer watch --json "$mnt"
says '"pictures"'

# ---------------------------------------------------------------- parameters
answer get "$mnt"
says 'read_retries: +2'
answer set "$mnt" read_retries 4
says '^read_retries is 4$'
answer get "$mnt" read_retries
[ "$(cat "$out")" = 4 ] || fail "get prints another value"
answer set --json "$mnt" remap_on_read_error off
says '"remap_on_read_error": false'
refused 1 'read_retries takes a number from 0 to 20' ctl set "$mnt" read_retries 21
refused 2 "no parameter '../state'" ctl get "$mnt" ../state
refused 2 'there are breaker_regions' ctl set "$mnt" nonsense 1
refused 1 'cannot be changed' ctl set "$mnt" real_device_mode N

# ---------------------------------------------------------------- bad words
refused 2 'not a sector' ctl remap "$mnt" x
refused 2 'not a number of sectors' ctl remap "$mnt" 8 0x8
refused 2 'nothing to move' ctl unmap "$mnt" 8 0
refused 1 'not within' ctl remap "$mnt" 131072
refused 1 'not within' ctl unmap "$mnt" 8 18446744073709551615
refused 2 'too few words' ctl query "$mnt"
refused 2 '8 to 1024' ctl map --width 7 "$mnt"
refused 2 'from 1 to' ctl watch --count 0 "$mnt"
refused 1 'is a spare that is not up' ctl health "$spare"
for verb in salvage get stats health metrics events map watch stop table; do
    refused 3 'no such target' ctl "$verb" "$work/nowhere"
done
for verb in remap unmap query; do
    refused 3 'no such target' ctl "$verb" "$work/nowhere" 1
done

# ---------------------------------------------------------------- the pair as a table
answer table "$mnt"
[ "$(cat "$out")" = "0 131072 dm-remap-v4 $main $spare" ] || fail "table: $(cat "$out")"

# ---------------------------------------------------------------- stop
exec 8<"$disk"
refused 4 'was not unmounted' ctl stop "$mnt"
if env --ignore-signal=CHLD true 2>/dev/null; then # as a careless parent leaves it
    refused 4 'was not unmounted' env --ignore-signal=CHLD "$bin/dmremapctl" stop "$mnt"
fi
exec 8<&-
answer stop "$mnt"
says 'is down, closed in order$'
refused 3 'no disk is mounted' ctl stop "$mnt"
answer table --main "$main" "$spare"
[ "$(cat "$out")" = "0 131072 dm-remap-v4 $main $spare" ] || fail "table of a spare: $(cat "$out")"
refused 2 'name its main' ctl table "$spare"
say "every verb for a disk that is up does what it says"
