# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034
# Proves that a spare that fills up is told of in time and in order: less than 20, 10 and 5 percent free,
# then full; that a write that finds no slot is ENOSPC, and that what was moved before it is kept.


# The numbers of the marks in the log since the disk came up, and "full", in a row.
told() {
    dmesg | awk '/UUID/ { said = "" }
        /percent of the slots/ { sub(/.*less than /, ""); said = said $1 " " }
        /no slot is left on/ { said = said "full " }
        END { printf "%s", said }'
}

fills_up() {
    target
    back=$(loop main 20480)
    main=$(holed bad "$back")
    spare=$(loop spare 16384)
    format
    up
    oracle fill "$model" "$disk"
    slots=$(stat_of slots)
    most=$((slots - 150))
    message remap 0 $((most * 8)) >said
    same 'told' '20 ' "$(told)"
    # From here on main takes no write, and one region has more blocks than there are slots.
    begin=$(((most / 256 + 1) * 2048))
    punch bad "$back" "$begin" 2048
    dd if=/dev/zero of="$disk" bs=1M seek=$((begin / 2048)) count=1 oflag=direct 2>dd.said && fail 'written'
    cat dd.said
    grep -q 'No space left' dd.said
    same 'told' '20 10 5 full ' "$(told)"
    message health >said
    cat said
    grep -q '^causes.* spare_full' said
    same 'active_mappings' "$slots" "$(number active_mappings)"
    message unmap 0 8
    message health | grep -q spare_full && fail 'still full'
    down
    spare_is_clean
    punch bad "$back"
    up
    same 'active_mappings' $((slots - 1)) "$(number active_mappings)"
    dd if="$disk" of=after bs=1M count=$((begin / 2048)) iflag=direct status=none
    down
    dd if="$back" of=moved bs=1M count=$((begin / 2048)) iflag=direct status=none
    cmp after moved
}
check 'a spare is told to be low before it is told to be full' fills_up
