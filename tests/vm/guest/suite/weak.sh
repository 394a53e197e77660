# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034
# Proves that a scan finds the blocks that can be read only slowly, or when they are tried again, tells of
# them, moves them with their data where that is wanted, and takes no slow device for them (P1); and that the
# days are kept in the spare's history, target and daemon going on with each other's. What a delay of
# two seconds does not exceed on some machine, in each of three looks, it does not prove to be found.
modules dm-delay fuse

# A main of 96 regions, enough for the scan to know its pace before it comes to the last ones.
regions=96
scan_is() { [ "$(stat_of scan_state)" = "$1" ]; }
scanned() {  # [SECTOR COUNT]
    message scan start "$@"
    until_true scan_is idle
}

large_pair() {
    target
    back=$(loop main $((regions * 2048)))
    dmsetup create slow --table "0 $((regions * 2048)) linear $back 0"
    main=/dev/mapper/slow
    spare=$(loop spare 32768)
    format
    up
}
# From here on a read of these sectors takes so long, of the others long enough for some hiccups of the
# machine to be lost in it.
usual=20
slow_down() {  # MS [FIRST COUNT]...
    local ms=$1 at=0
    shift
    dmsetup suspend --nolockfs slow
    {
        while [ $# -ge 2 ]; do
            [ "$1" = "$at" ] || delayed "$at" $(($1 - at)) $usual
            delayed "$1" "$2" "$ms"
            at=$(($1 + $2))
            shift 2
        done
        [ "$at" = $((regions * 2048)) ] || delayed "$at" $((regions * 2048 - at)) $usual
    } | dmsetup load slow
    dmsetup resume slow
}

delayed() { echo "$1 $2 delay $back $1 $3 $back $1 0"; }

slow_place=$((90 * 2048 + 808))

told_and_forgotten() {
    large_pair
    slow_down 2000 $slow_place 1
    scanned
    same 'weak_blocks' 1 "$(stat_of weak_blocks)"
    same 'scan_found' 0 "$(stat_of scan_found)"
    same 'active_mappings' 0 "$(number active_mappings)"
    dmesg | grep "the block at sector $slow_place of $main can be read only slowly" | grep -v moved ||
        fail 'the log does not name it'
    message health | grep -q '^state healthy$' || fail "$(message health)"
    message health | grep -q '^advice set relocate_weak Y and scan' || fail "$(message health)"
    slow_down $usual
    # What is not read is not forgotten.
    scanned $((90 * 2048)) 8
    same 'weak_blocks, beside it' 1 "$(stat_of weak_blocks)"
    scanned
    same 'weak_blocks, when it is well again' 0 "$(stat_of weak_blocks)"
    message health | grep -q '^advice none$' || fail "$(message health)"
    down
    spare_is_clean
}
check 'a slow block is told of, and forgotten when it is well' told_and_forgotten

moved_with_its_data() {
    large_pair
    message set relocate_weak Y
    dd if=/dev/urandom of=pattern bs=4096 count=2 status=none
    dd if=pattern of="$disk" bs=4096 seek=$((slow_place / 8)) count=2 oflag=direct status=none
    slow_down 2000 $slow_place 1
    scanned
    same 'weak_blocks' 0 "$(stat_of weak_blocks)"
    same 'remaps_slow' 1 "$(stat_of remaps_slow)"
    same 'active_mappings' 1 "$(number active_mappings)"
    same 'lost_sectors' 0 "$(stat_of lost_sectors)"
    message query $slow_place | grep -q '^reason slow$' || fail "$(message query $slow_place)"
    dd if="$disk" of=back.now bs=4096 skip=$((slow_place / 8)) count=2 iflag=direct status=none
    cmp pattern back.now
    down
    spare_is_clean
}
check 'P1 a slow block is moved with its data where that is wanted' moved_with_its_data

slow_everywhere() {
    large_pair
    message set relocate_weak Y
    slow_down $usual
    scanned
    same 'weak_blocks' 0 "$(stat_of weak_blocks)"
    # Nor has it weak places when it becomes slower still while one part of it is read.
    slow_down 400 0 $((regions * 2048))
    scanned $((90 * 2048)) 2048
    same 'weak_blocks, later' 0 "$(stat_of weak_blocks)"
    same 'active_mappings' 0 "$(number active_mappings)"
    slow_down $usual
    down
}
check 'a device that is slow everywhere has no weak blocks' slow_everywhere

# The scan's read of the region fails, and the eight on the way down to the block; the healer's does not.
tried_again() {
    a_demo
    dd if=/dev/urandom of=pattern bs=4096 count=1 status=none
    dd if=pattern of="$disk" bs=4096 seek=100 count=1 oflag=direct status=none
    message inject main bad read 803 times=9
    scanned
    same 'weak_blocks' 1 "$(stat_of weak_blocks)"
    same 'active_mappings' 0 "$(number active_mappings)"
    message set relocate_weak Y
    # One region that fails is one more than it stands, were it told of this one.
    message set breaker_regions 1
    message inject main bad read 803 times=9
    scanned
    same 'weak_blocks' 0 "$(stat_of weak_blocks)"
    same 'remaps_slow' 1 "$(stat_of remaps_slow)"
    same 'lost_sectors' 0 "$(stat_of lost_sectors)"
    dd if="$disk" of=back.now bs=4096 skip=100 count=1 iflag=direct status=none
    cmp pattern back.now
    message health | grep -q '^state healthy$' || fail "$(message health)"
}
check 'P6 a block that can be read when it is tried again is weak, and trips no breaker' tried_again

# In words of four bytes: day, remaps, lost, errors; two days.
history() { dd if="$spare" bs=4 skip=$(((65536 + 3328) / 4)) count=8 status=none | od -An -v -tu4 | tr -s ' \n' ' '; }

days() {
    local today
    have dmremapfs
    target
    now=$(date +%s)
    trap 'date -s "@$now" >/dev/null' EXIT
    # Not within the last minutes of a day.
    date -s "@$((now / 86400 * 86400 + 43200))" >/dev/null
    today=$((now / 86400))
    loop_pair 20480 20480
    back=$main
    main=$(holed bad "$back")
    format
    up
    down
    same 'the first day' " $today 0 0 0 0 0 0 0 " "$(history)"
    up
    message remap 800 8
    punch bad "$back" 1600 1
    refused 'Input/output error' dd if="$disk" of=/dev/null bs=4096 skip=200 count=1 iflag=direct status=none
    failed=$(stat_of main_errors)
    at_least 'main_errors' "$failed" 1
    down
    same 'the same day' " $today 2 1 $failed 0 0 0 0 " "$(history)"
    mount_daemon
    unmount_daemon
    same "the daemon's" " $today 2 1 $failed 0 0 0 0 " "$(history)"
    date -s "@$((now / 86400 * 86400 + 43200 + 86400))" >/dev/null
    up
    message unmap 800 8
    down
    same 'the next day' " $today 2 1 $failed $((today + 1)) 1 1 0 " "$(history)"
    # A clock that was ahead; it is not before the spare was made.
    date -s "@$((now / 86400 * 86400 + 43200 + 3600))" >/dev/null
    up
    down
    same 'the first day again' " $today 1 1 $failed 0 0 0 0 " "$(history)"
    spare_is_clean
}
check 'the days are kept, and the daemon goes on with them' days
