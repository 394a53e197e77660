#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# health says what smartctl says of main where main is a block device, and lives without it where it
# is none, where there is no smartctl, and where that lies, rages or hangs.
#
# No drive is needed: a loop device is a block device like another, and the smartctl in PATH is ours.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"
need_loop

mkdir "$work/bin"
smartctl_does() {
    printf '#!/bin/sh\necho "$@" >"%s/asked"\n%s\n' "$work" "$1" >"$work/bin/smartctl"
    chmod +x "$work/bin/smartctl"
    rm -f "$work/asked"
}
health() { PATH="$work/bin:$PATH" ctl health "$@" "$mnt" >"$out" 2>&1 || fail "health: $(cat "$out")"; }
has() { grep -qE "$1" "$out" || fail "health lacks '$1': $(cat "$out")"; }
lacks() { ! grep -qE "$1" "$out" || fail "health has '$1': $(cat "$out")"; }

# ---------------------------------------------------------------- an image is not asked
make_pair 16M 16M
smartctl_does 'echo "{\"smart_status\":{\"passed\":true}}"'
mount_disk
health
lacks SMART
[ ! -e "$work/asked" ] || fail "smartctl was asked about an image"
health --json
has '"smart": null'
unmount_disk

# ---------------------------------------------------------------- a device is
attach "$main"
main=$loop
rm "$spare"
truncate -s 16M "$spare"
ctl format --main "$main" --spare "$spare" >"$out"
mount_disk
smartctl_does 'echo "{\"smart_status\":{\"passed\":false},\"power_on_time\":{\"hours\":40000},
    \"ata_smart_attributes\":{\"table\":[{\"id\":197,\"raw\":{\"value\":8}}]}}"; exit 8'
health
has 'What main says of itself \(SMART\)'
has '^ *passed: +false'
has '^ *power_on_hours: +40000'
has '^ *pending_sectors: +8'
grep -qE -- "--json=c .*-- $main\$" "$work/asked" || fail "asked: $(cat "$work/asked")"
health --json
has '"passed": false'

for answer in 'echo garbage' 'yes "{"' 'echo "{\"smart_status\":{\"passed\":\"\\u001b[31m\"}}"' \
    'exit 2' 'exec >&-; sleep 600' 'kill -9 $$'; do
    smartctl_does "$answer"
    health
    lacks SMART
    has '^ *score: +100'
    [ -e "$work/asked" ] || fail "smartctl was not asked"
done
smartctl_does 'trap "" TERM; sleep 600' # a drive that does not answer: ten seconds are enough
health
lacks SMART
has '^ *score: +100'
rm "$work/bin/smartctl"
if ! command -v smartctl >/dev/null; then
    health
    lacks SMART
fi
unmount_disk
say "what smartctl says is added, and nothing hangs on it"
