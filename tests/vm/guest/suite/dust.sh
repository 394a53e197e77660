# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves how the target takes a main that is bad in the way most disks are: a sector cannot be read until it
# is written, and then it is good again (dm-dust; P1, P5, mistakes 10, 14 and 16).
modules dm-dust

# A disk over dm-dust over $back, filled.
dusty_disk() {  # BYTES of a bad place
    target
    dmsetup targets | grep -q '^dust ' || skip 'the kernel has no dm-dust, and its source could not be had'
    back=$(loop main 24576)
    dmsetup create dusty --table "0 24576 dust $back 0 $1"
    main=/dev/mapper/dusty
    spare=$(loop spare 32768)
    format
    up
    oracle fill "$model" "$disk"
}
dust() { dmsetup message dusty 0 "$@"; }
bad_places() {  # PLACE...
    local place
    for place in "$@"; do dust addbadblock "$place"; done
}
sectors() { dd if="$disk" of="$3" bs=512 skip="$1" count="$2" iflag=direct status=none; }
lost_sectors() { message stats | sed -n 's/^lost_sectors //p'; }

written_first() {
    dusty_disk 512
    bad_places 803 4096 4097 24575
    dust enable
    # The disk heals itself: nothing has to be moved.
    oracle write "$model" "$disk" 803 1
    oracle write "$model" "$disk" 4000 200
    oracle write "$model" "$disk" 24560 16
    oracle verify "$model" "$disk"
    same 'active_mappings' 0 "$(number active_mappings)"
    same 'errors' 0 "$(number errors)"
    dust countbadblocks
    down
    oracle verify "$model" "$main"
    spare_is_clean
}
check 'P6 what a disk heals by itself when it is written moves nothing' written_first

read_first() {
    dusty_disk 512
    sectors 800 8 before
    bad_places 803 4096 4097 24575
    dust enable
    oracle lost "$model" 803 1
    oracle lost "$model" 4096 2
    oracle lost "$model" 24575 1
    oracle verify "$model" "$disk"
    same 'active_mappings' 3 "$(number active_mappings)"
    same 'lost sectors' 4 "$(lost_sectors)"
    # What is written goes to the slots, and main is asked no more.
    oracle write "$model" "$disk" 4090 20
    oracle verify "$model" "$disk"
    same 'lost sectors' 2 "$(lost_sectors)"
    down
    spare_is_clean
    up
    oracle verify "$model" "$disk"
    # The places can be read again, as after a knock: what main kept comes back, and nothing older than
    # what was written since.
    dust disable
    message salvage
    same 'lost sectors' 0 "$(lost_sectors)"
    sectors 800 8 after
    cmp before after
    sectors 4090 20 mine
    dust enable
    sectors 4090 20 again
    cmp mine again
    down
    spare_is_clean
}
check 'P1 P5 what cannot be read is lost until it is written, and comes back with main' read_first

whole_blocks() {
    dusty_disk 4096
    bad_places 0 100 101 102 3071
    dust enable
    oracle lost "$model" 0 8
    oracle lost "$model" 800 24
    oracle lost "$model" 24568 8
    oracle verify "$model" "$disk"
    same 'active_mappings' 5 "$(number active_mappings)"
    # A part of a block that is lost.
    oracle write "$model" "$disk" 803 2
    oracle verify "$model" "$disk"
    down
    spare_is_clean
    up
    oracle verify "$model" "$disk"
    oracle write "$model" "$disk" 0 24576
    oracle verify "$model" "$disk"
    same 'lost sectors' 0 "$(lost_sectors)"
}
check 'P1 bad places of a whole block' whole_blocks

under_load() {
    local round at
    dusty_disk 512
    dust quiet
    dust enable
    for round in 1 2 3; do
        # Every 97th sector, others each round.
        at=$((round * 31))
        while [ $at -lt 24576 ]; do
            dust addbadblock "$at"
            # Who is in a slot already is read there.
            message query "$at" | grep -q "place spare" || oracle lost "$model" "$at" 1
            at=$((at + 970))
        done
        oracle stress "$model" "$disk" "$round" 600
        oracle verify "$model" "$disk"
        dmsetup suspend "$name"
        dmsetup resume "$name"
        oracle verify "$model" "$disk"
    done
    at_least 'active_mappings' "$(number active_mappings)" 20
    down
    spare_is_clean
    up
    oracle verify "$model" "$disk"
}
check 'P1 reads and writes race for bad places' under_load
