#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The exit codes of the manual, of every verb there is: bad words, no target, a spare at rest, a disk
# that is up, a spare in use; and an error is one line that names the target.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"

ctl --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p' >"$work/verbs"
mapfile -t verbs <"$work/verbs"
[ "${#verbs[@]}" -ge 20 ] || fail "--help has no verbs"

# words VERB TARGET: sets $words to right words for the verb, with this target.
words() {
    case $1 in
        format) words=(--main "$main" --spare "$2") ;;
        rebind) words=(--main "$main" "$2") ;;
        table) words=(--main "$main" "$2") ;;
        activate) words=(--main "$main" --spare "$2" --dry-run healed) ;;
        list) words=() ;;
        remap | unmap | query) words=("$2" 80) ;;
        set) words=("$2" read_retries 2) ;;
        watch) words=(--count 1 "$2") ;;
        *) words=("$2") ;;
    esac
}

# ends CODE VERB WORDS...: in text, and as JSON with an error of its own kind unless it went well.
ends() {
    local want=$1 got=0 verb=$2
    shift 2
    ctl "$verb" "$@" >"$out" 2>"$work/err" || got=$?
    [ "$got" = "$want" ] || fail "exit $got instead of $want from $verb $*: $(cat "$work/err")"
    if [ "$want" != 0 ]; then
        [ "$(grep -c '^dmremapctl: ' "$work/err")" = 1 ] ||
            fail "$verb $*: not one line on the standard error: $(cat "$work/err")"
    fi
}
kind_is() {
    local kind=$1
    shift
    ctl "${@:1:1}" --json "${@:2}" >"$out" 2>"$work/err" && fail "$* went well"
    grep -q "\"kind\": \"$kind\"" "$out" || fail "$*: not of kind $kind: $(cat "$out")"
}

make_pair 16M 16M
for verb in "${verbs[@]}"; do
    usage=2 missing=3 help=0
    [ "$verb" != check ] || usage=16 missing=8
    ends $usage "$verb" --no-such-option
    ends $help "$verb" --help
    # Too few words and too many.
    [ "$verb" = list ] || ends $usage "$verb"
    words "$verb" "$spare"
    ends $usage "$verb" "${words[@]}" one two three four
    [ "$verb" != list ] || continue
    # Nothing there: the message names it.
    words "$verb" "$work/nowhere"
    ends $missing "$verb" "${words[@]}"
    grep -qF "$work/nowhere" "$work/err" || fail "$verb does not name its target: $(cat "$work/err")"
    kind_is not_found "$verb" "${words[@]}"
done

# ---------------------------------------------------------------- a spare at rest
for verb in examine check status table rebind activate; do
    words "$verb" "$spare"
    ends 0 "$verb" "${words[@]}"
done
for verb in health stats metrics events map watch query remap unmap salvage scan get set stop; do
    words "$verb" "$spare"
    ends 1 "$verb" "${words[@]}"
    grep -q 'is a spare that is not up; mount the disk and name its mount point' "$work/err" ||
        fail "$verb of a spare at rest: $(cat "$work/err")"
done
words format "$spare"
ends 1 format "${words[@]}"
ends 0 list

# ---------------------------------------------------------------- a disk that is up
mount_disk
for verb in list status health stats metrics events map watch query remap unmap salvage scan get set; do
    words "$verb" "$mnt"
    ends 0 "$verb" "${words[@]}"
done
ends 0 table "$mnt"
ends 0 remap "$mnt" 80
ends 0 remap "$mnt" 80 # already so
ends 1 remap "$mnt" 99999999
ends 1 scan "$mnt" pause
for verb in format examine status table rebind activate; do
    words "$verb" "$spare"
    ends 4 "$verb" "${words[@]}" # each after seconds: it waits for a closing owner
done
kind_is busy examine "$spare"
ends 8 check "$spare"
exec 8<"$disk"
ends 4 stop "$mnt"
exec 8<&-
ends 0 stop "$mnt"
ends 3 stop "$mnt"
ends 0 check "$spare"
say "every verb ends as its manual says"
