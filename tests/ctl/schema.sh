#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every verb's --json against its schema (schema.py), key by key and type by type; the same schema
# against the manual; and that no verb is without one.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"
need python3

: >"$work/held"
tests=$(cd "$(dirname "$0")" && pwd)
manual=$tests/../../ctl/dmremapctl.8

# holds NAME CODE VERB...: what the verb prints with --json is of the schema NAME.
holds() {
    local name=$1 want=$2 verb=$3 got=0
    ctl "$verb" --json "${@:4}" >"$out" 2>"$work/err" || got=$?
    [ "$got" = "$want" ] || fail "exit $got instead of $want from $verb: $(head -n 5 "$out" "$work/err")"
    python3 "$tests/schema.py" check "$manual" "$name" "$out" 2>"$work/err" ||
        fail "$verb --json: $(head -n 10 "$work/err")"
    echo "$name" >>"$work/held"
}

truncate -s 64M "$main"
truncate -s 32M "$spare"
holds format 0 format --main "$main" --spare "$spare" --label 'a disk'
holds rebind 0 rebind --main "$main" "$spare"
holds status-of-a-spare 0 status "$spare"
bad read 4104 1
mount_disk
holds list 0 list
holds query 0 query "$mnt" 80
holds remap 0 remap "$mnt" 80 16
holds query-of-a-remap 0 query "$mnt" 83
holds unmap 0 unmap "$mnt" 80 8
holds remap 0 remap "$mnt" 4096 16
holds unmap-refused 1 unmap "$mnt" 4104
holds status 0 status "$mnt"
holds health 0 health "$mnt"
holds stats 0 stats "$mnt"
holds metrics 0 metrics "$mnt"
holds metrics-to-a-file 0 metrics --output "$work/metrics" "$mnt"
holds events 0 events "$mnt"
holds map 0 map "$mnt"
holds map 0 map --svg "$work/map.svg" "$mnt"
holds watch 0 watch --count 2 --interval 1 "$mnt"
holds salvage 0 salvage "$mnt"
holds scan 0 scan "$mnt" start
holds scan 0 scan "$mnt" wait
holds get 0 get "$mnt"
holds get 0 get "$mnt" read_retries
holds set 0 set "$mnt" read_retries 3
holds table 0 table "$mnt"
holds error 2 get "$mnt" nonsense
holds error 3 health "$work/nowhere"
holds stop 0 stop "$mnt"
holds table 0 table --main "$main" "$spare"
holds activate 0 activate --main "$main" --spare "$spare" --dry-run healed
holds error 1 activate --main "$main" --spare "$spare" healed
holds examine 0 examine "$spare"
holds check 0 check "$spare"
# One that was not closed, so that there is a holder to tell of.
"$bin/mount.dmremapfs" "$main" "$mnt" -o "foreground,spare=$spare" 2>"$work/log" &
daemon=$!
wait_until 60 test -e "$disk" || fail "no disk: $(cat "$work/log")"
holds error 4 examine "$spare"
kill -KILL "$daemon"
wait "$daemon" || :
wait_until 60 closed || fail "a killed daemon holds the pair"
fusermount3 -u "$mnt"
holds examine 0 examine "$spare"
# A damaged copy, found and repaired.
dd if=/dev/urandom of="$spare" bs=4096 seek=512 count=1 conv=notrunc status=none
holds check 4 check "$spare"
holds check 1 check --repair "$spare"
# A change of the table that no copy takes: nobody knows where the block is until the next mount.
mount_disk
holds remap 0 remap "$mnt" 80
echo 'spare bad write 0+65536' >"$mnt/control/inject"
holds unmap-refused 1 unmap "$mnt" 80
holds query-of-a-fence 0 query "$mnt" 83
grep -q '"place": "fenced"' "$out" || fail "query of a fenced block: $(cat "$out")"
refused 1 'read-only' ctl remap "$mnt" 800
unmount_disk
mount_disk
holds query-of-a-remap 0 query "$mnt" 83

# ---------------------------------------------------------------- none is without
diff <(python3 "$tests/schema.py" names | sort) <(sort -u "$work/held") >"$out" ||
    fail "schemas that nothing was held to: $(cat "$out")"
ctl --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p' >"$work/verbs"
while read -r verb; do
    grep -qx "$verb" "$work/held" || fail "$verb has no schema"
done <"$work/verbs"
say "the JSON of every verb is what its schema and the manual say"
