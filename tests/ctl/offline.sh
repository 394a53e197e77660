#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dmremapctl on images that nobody has up: what format refuses and what it makes, what check finds
# and repairs, and that what must not write does not write. Needs no device and no rights.
set -Eeuo pipefail
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

bin=${DMREMAP_BIN:-$(dirname "$0")/../../build/bin}
work=$(mktemp -d "${TMPDIR:-/tmp}/dmremap-ctl.XXXXXX")
trap 'rm -rf "$work"' EXIT
main=$work/main.img
spare=$work/spare.img
out=$work/out

fail() {
    echo "offline: FAILED at line ${BASH_LINENO[0]}: $*" >&2
    sed 's/^/    /' "$out" >&2
    exit 1
}
ctl() { "$bin/dmremapctl" "$@"; }
# expect CODE PATTERN VERB...: exit code, and an extended regular expression in the output.
expect() {
    local code=$1 pattern=$2 status=0
    shift 2
    ctl "$@" >"$out" 2>&1 || status=$?
    [ "$status" = "$code" ] || fail "dmremapctl $*: exit $status, not $code"
    grep -qE -- "$pattern" "$out" || fail "dmremapctl $*: no '$pattern'"
}
sum() { sha256sum <"$1"; }
unchanged() { [ "$(sum "$spare")" = "$spare_sum" ] || fail "the spare was written"; }
uuid_of() { ctl examine --json "$1" | sed -n 's/.*"uuid": "\([0-9a-f-]*\)".*/\1/p' | head -n 1; }
allocated() { echo $(($(stat -c %b "$1") * 512)); }

# --- format: what is there is not destroyed by accident
truncate -s 64M "$main"
expect 3 'truncate -s 1G' format --main "$main" --spare "$spare"
[ ! -e "$spare" ] || fail "a refused format made a file"
expect 3 'no such device as the spare' format --main "$main" --spare /dev/dmremap-no-such-device
grep -q truncate "$out" && fail "told to make an image in memory"
expect 3 'does not exist|no such' format --main "$work/none.img" --spare "$main"
truncate -s 1M "$spare"
expect 1 '8388608' format --main "$main" --spare "$spare"
[ "$(allocated "$spare")" -lt 65536 ] || fail "a refused format allocated the image"

truncate -s 16M "$spare"
main_sum=$(sum "$main")
expect 0 'mount.dmremapfs .*main.img MOUNTPOINT -o spare=.*spare.img' \
    format --main "$main" --spare "$spare" --label 'my disk'
grep -qE 'slots: +[0-9]{4}:' "$out" || fail "format does not say how many blocks can be moved"
[ "$(allocated "$spare")" -ge $((16 << 20)) ] || fail "format left the image sparse"
[ "$(sum "$main")" = "$main_sum" ] || fail "format wrote to main"

uuid=$(uuid_of "$spare")
[ ${#uuid} = 36 ] || fail "examine --json shows no uuid"
spare_sum=$(sum "$spare")
expect 1 "$uuid" format --main "$main" --spare "$spare"
expect 1 "$uuid" format --main "$main" --spare "$spare" --force
expect 1 "$uuid" format --main "$main" --spare "$spare" \
    --destroy 00000000-0000-4000-8000-000000000000
expect 1 'swapped' format --main "$spare" --spare "$main"
expect 1 'same' format --main "$spare" --spare "$spare"
unchanged
[ "$(sum "$main")" = "$main_sum" ] || fail "a refused format wrote to the other side"

# --- looking never writes
expect 0 'my disk' examine "$spare"
expect 0 'offline, closed in order' status "$spare"
expect 0 'clean' check "$spare"
expect 0 'already' rebind --main "$main" "$spare"
expect 0 '"verdict": "clean"' check --json "$spare"
expect 0 '"kind": "spare"' status --json "$spare"
expect 1 'no valid superblock' examine "$main"
expect 8 'cannot be checked' check "$main"
expect 3 'no such target' status "$main"
expect 3 'no disk is mounted' status "$work"
expect 0 "^0 [0-9]+ dm-remap-v4 $main $spare 2 uuid=$uuid machine=[0-9a-f]{32}\$" activate --main "$main" --spare "$spare" --dry-run healed
expect 1 'is an image file.*losetup' activate --main "$main" --spare "$spare" healed
expect 2 'no name' activate --main "$main" --spare "$spare" a/b
unchanged

# --- one damaged superblock copy: found, repaired, gone
dd if=/dev/urandom of="$spare" bs=4096 seek=512 count=1 conv=notrunc status=none
spare_sum=$(sum "$spare")
expect 4 '^repairable: 1 superblock copy' check "$spare"
expect 4 '"verdict": "repairable"' check --json "$spare"
expect 0 '2097152 bytes\) +not a superblock' examine "$spare"
unchanged
expect 1 '^repaired: ' check --repair "$spare"
expect 0 'clean' check "$spare"
expect 0 'clean' check --repair "$spare"

# --- one damaged page of one table copy, likewise
table=$(ctl examine --json "$spare" | sed -n 's/.*"second_table_offset_bytes": \([0-9]*\).*/\1/p')
dd if=/dev/urandom of="$spare" bs=4096 seek=$((table / 4096)) count=1 conv=notrunc status=none
expect 4 'entries have only one good copy' check "$spare"
expect 1 'entry table' check --repair "$spare"
expect 0 'clean' check "$spare"

# --- both copies of a page: an entry without a good copy is fatal and stays as it is
cp "$spare" "$work/kept.img"
first=$(ctl examine --json "$spare" | sed -n 's/.*"first_table_offset_bytes": \([0-9]*\).*/\1/p')
for offset in "$first" "$table"; do
    dd if=/dev/zero of="$spare" bs=4096 seek=$((offset / 4096)) count=1 conv=notrunc status=none
done
spare_sum=$(sum "$spare")
expect 4 '^fatal: .*no good copy' check "$spare"
expect 4 '^fatal: .*no good copy' check --repair "$spare"
expect 4 'ro,rescue.*at least 0 of' check "$spare"
expect 1 'only copy of at least 0 blocks' format --main "$main" --spare "$spare"
unchanged
cp "$spare" "$work/cut.img"
truncate -s 12M "$work/cut.img"
expect 4 '^fatal: .*cut short' check "$work/cut.img"
grep -qE 'rescue|slots' "$out" && fail "told of slots nobody counted, or of a rescue that is refused"
rm "$work/cut.img"
cat "$work/kept.img" >"$spare"

# --- a copy: whole, but nobody can know how old it is
cp "$spare" "$work/copy.img"
expect 0 'note: .*cannot be mounted.*inode was' check "$work/copy.img"
expect 1 'copy.img is not the spare that was used last.*may be old.*--force' \
    rebind --main "$main" "$work/copy.img"
expect 0 'accepted.*spare .*copy.img: .*inode was' rebind --main "$main" --force "$work/copy.img"
expect 0 'already' rebind --main "$main" "$work/copy.img"
rm "$work/copy.img"

# --- a live spare in a partition of what is to become a spare
truncate -s 32M "$work/disk.img"
printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\200\0\0' |
    dd of="$work/disk.img" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$work/disk.img" bs=1 seek=510 conv=notrunc status=none
dd if="$spare" of="$work/disk.img" bs=1M seek=1 conv=notrunc status=none
expect 1 "partition 1 of .*disk.img is the dm-remap spare $uuid.*--destroy=$uuid" \
    format --main "$main" --spare "$work/disk.img" --force
expect 1 'dos partition table.*--force' \
    format --main "$main" --spare "$work/disk.img" "--destroy=$uuid"
[ "$(allocated "$work/disk.img")" -lt $((32 << 20)) ] || fail "a refused format allocated the image"
expect 0 'The spare is made' \
    format --main "$main" --spare "$work/disk.img" "--destroy=$uuid" --force

# --- the right word destroys, and a file system is only overwritten by force
expect 0 'The spare is made' format --main "$main" --spare "$spare" "--destroy=$uuid"
[ "$(uuid_of "$spare")" != "$uuid" ] || fail "--destroy made no new spare"
if command -v mkfs.ext4 >/dev/null; then
    truncate -s 16M "$work/ext4.img"
    mkfs.ext4 -q -F "$work/ext4.img"
    kept=$(sum "$work/ext4.img")
    space=$(allocated "$work/ext4.img")
    expect 1 'ext4.*--force' format --main "$main" --spare "$work/ext4.img"
    [ "$(sum "$work/ext4.img")" = "$kept" ] || fail "a refused format changed the file system"
    [ "$(allocated "$work/ext4.img")" = "$space" ] || fail "a refused format allocated the image"
    expect 0 'The spare is made' format --main "$main" --spare "$work/ext4.img" --force
    expect 0 'clean' check "$work/ext4.img"
fi
truncate -s 16M "$work/bytes.img"
printf x | dd of="$work/bytes.img" bs=1 seek=2097200 conv=notrunc status=none
expect 1 'not empty.*--force' format --main "$main" --spare "$work/bytes.img"

# --- a spare somebody has open is busy
if command -v flock >/dev/null; then
    exec 9<"$spare"
    flock -x 9
    expect 4 'use|another' examine "$spare"
    expect 8 '"kind": "busy"' check --json "$spare"
    exec 9<&-
fi
echo "offline: format, examine, check, status and rebind do and refuse what they should"
