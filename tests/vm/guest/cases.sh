# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034
# Pairs that the host prepared, with what the core says of them; tests/vm/cases.h says in which form.
# The target must see each the same way: refuse what is refused there and touch nothing of it, or open
# it and read what must be read. Sourced by init after pair.sh.

# The disk with the serial of that name, which the host gave this machine.
virtual_disk() {
    local block
    for block in /sys/block/vd*; do
        if [ "$(cat "$block/serial" 2>/dev/null)" = "vm-$1" ]; then
            echo "/dev/${block##*/}"
            return
        fi
    done
    skip "there is no virtual disk $1 (are the programs of tests/vm built?)"
}

# One line of the list.
one_case() {
    local id=$1 file=$2 size=$3 block=$4 verdict=$5 remaps=$6 found
    cp "cases/$file" main.img
    truncate -s "$size" main.img
    cp --sparse=always "cases/$id.spare" spare.img
    main=$(losetup --show -f -b "$block" main.img)
    spare=$(losetup --show -f spare.img)
    if dmsetup create "$name" --table "$(table) 1 take_over" 2>said; then found=opens; else found=refused; fi
    same "$id: the verdict" "$verdict" "$found"
    if [ "$found" = opens ]; then
        same "$id: active_mappings" "$remaps" "$(number active_mappings)"
        /bin/same "$disk" main.img "cases/$id.want" || fail "$id: see above"
        down
        # Where both copies of a page lack something, it is not rewritten, and its blocks moved away.
        dmremapctl check "$spare" >said 2>&1 ||
            case $id in hostile-*) grep -q 'a good copy of everything is left' said ;; *) false ;; esac ||
            fail "$id: check: $(cat said)"
    else
        cmp spare.img "cases/$id.spare" || fail "$id: refused, and the spare was written to"
        cmp -n "$(stat -c %s "cases/$file")" main.img "cases/$file" 2>said ||
            ! grep differ said || fail "$id: refused, and main was written to"
    fi
}

cases_agree() {  # BEGINNING_OF_NAMES AT_LEAST
    local cases line wrong=0 seen=0
    target
    cases=$(virtual_disk cases)
    mkdir -p cases
    mount -o ro "$cases" cases
    grep "^$1" cases/list >list
    while read -r line; do
        seen=$((seen + 1))
        # shellcheck disable=SC2086
        if ! (one_case $line) >one 2>&1; then
            wrong=$((wrong + 1))
            echo "$line"
            cat one
            dmesg | grep remap-v4 | tail -n 2
        fi
        dmsetup remove "$name" 2>/dev/null || true
        losetup -d "$(losetup -j main.img | cut -d : -f 1)"
        losetup -d "$(losetup -j spare.img | cut -d : -f 1)"
    done <list
    at_least 'pairs' "$seen" "$2"
    same 'pairs that are seen in another way' 0 "$wrong"
}
