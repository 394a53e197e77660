#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Manuals, --help and the programs name the same options, verbs, files, messages, parameters and
# fields: whatever one of them lacks is a failure.
# shellcheck source=tests/fuse/lib.sh
source "$(dirname "$0")/../fuse/lib.sh"

root=$here/../..
for page in ctl/dmremapctl.8 fuse/mount.dmremapfs.8 core/dmremap.7 core/dmremap-format.5; do
    [ -e "$root/$page" ] || fail "no $page"
    if command -v groff >/dev/null; then
        groff -t -man -Tutf8 -ww "$root/$page" 2>&1 >/dev/null | head -n 3 >"$work/groff"
        [ ! -s "$work/groff" ] || fail "$page: $(cat "$work/groff")"
    fi
done
# Without the marks of roff, so that words can be looked for.
plain() { sed -E 's/\\f[A-Z]//g; s/\\-/-/g; s/^\.[A-Z]+ //; s/"//g' "$root/$1"; }
plain ctl/dmremapctl.8 >"$work/ctl"
plain fuse/mount.dmremapfs.8 >"$work/mount"

# ---------------------------------------------------------------- verbs and their options
ctl --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p' | sort >"$work/verbs"
[ "$(wc -l <"$work/verbs")" -ge 20 ] || fail "--help has no verbs"
sed -n 's/^\.SS //p' "$root/ctl/dmremapctl.8" | sort | diff "$work/verbs" - >"$out" ||
    fail "verbs of --help and of the manual differ"
while read -r verb; do
    ctl "$verb" --help >"$work/help"
    line=$(grep -E "^dmremapctl $verb( |\$)" "$work/ctl") || fail "$verb is not in the synopsis"
    grep -oE -- '--[a-z]+' "$work/help" | sort -u >"$work/options"
    while read -r option; do
        [ "$option" = --help ] || grep -qF -- "$option" <<<"$line" ||
            fail "the synopsis lacks $option of $verb"
    done <"$work/options"
    while read -r option; do
        grep -qx -- "$option" "$work/options" || fail "$verb has no $option"
    done < <(grep -oE -- '--[a-z]+' <<<"$line" || :)
    # And its section says what each is for.
    sed -n "/^\.SS $verb\$/,/^\.S[SH] /p" "$root/ctl/dmremapctl.8" | sed 's/\\-/-/g' >"$work/section"
    while read -r option; do
        grep -qF -- "$option" "$work/section" || fail "the section of $verb lacks $option"
    done < <(grep -vE -- '--(json|help|main|spare)$' "$work/options" || :)
done <"$work/verbs"

# ---------------------------------------------------------------- mount options
"$bin/mount.dmremapfs" --help >"$work/help"
own=$(sed -n '/own_options()/,/^}/s/^ *{"\([a-z_]*\)",.*/\1/p' "$root/fuse/mount_options.cpp")
[ "$(wc -w <<<"$own")" -ge 14 ] || fail "the table of mount options was not found"
for option in $own; do
    [ "$option" = rw ] || grep -qE "(^|[ ,])$option(=|\[|\b)" "$work/mount" ||
        fail "mount.dmremapfs(8) lacks $option"
    [ "$option" = rw ] || grep -qE "[ ,]$option(=|\[| |,)" "$work/help" || fail "--help lacks $option"
done

# ---------------------------------------------------------------- files, messages, parameters
make_pair 16M 16M
bad read 0 1
mount_disk
for path in "$mnt"/control/* "$mnt"/control/params/*; do
    grep -qE "(^|[ ,])$(basename "$path")(/|\b)" "$work/mount" ||
        fail "mount.dmremapfs(8) lacks the file $(basename "$path")"
done
echo help >"$mnt/control/message"
# By way of files: a grep that has found its word ends, and sed dies of a pipe that is closed.
sed -n '/^\.SH MESSAGES/,/^\.SH SCAN/p' "$root/fuse/mount.dmremapfs.8" >"$work/messages"
while read -r message; do
    grep -qE "(^\.BI?R? |[ \"])$message\b" "$work/messages" || fail "mount.dmremapfs(8) lacks the message $message"
done < <(cut -d ' ' -f 1 "$mnt/control/message")
# The ranges in the manual are those that are held.
for name in read_retries lost_retry_minutes breaker_regions scan_interval_hours scan_speed_max \
    dm_remap_debug map_width; do
    most=$(grep -oE "$name *\([0-9]+ to [0-9]+" "$work/mount" | grep -oE '[0-9]+$') ||
        fail "mount.dmremapfs(8) has no range of $name"
    echo "$most" >"$mnt/control/params/$name" || fail "$name does not take $most"
    (echo $((most + 1)) >"$mnt/control/params/$name") 2>/dev/null && fail "$name takes more than $most"
done

# ---------------------------------------------------------------- fields of the format
# shellcheck disable=SC2016  # the backticks are Markdown
md_fields() { sed -nE 's/^\| ([0-9]+) \| [^|]+ \| `([a-z_]+)`.*/\1 \2/p' "$root/core/FORMAT.md"; }
man_fields() { sed -nE 's/^([0-9]+)\|[^|]+\|([a-z_]+)\|.*/\1 \2/p' "$root/core/dmremap-format.5"; }
[ "$(md_fields | wc -l)" -ge 50 ] || fail "FORMAT.md has no fields"
diff <(md_fields) <(man_fields) >"$out" || fail "fields of FORMAT.md and dmremap-format(5) differ"
say "manuals, help and programs name the same things"
