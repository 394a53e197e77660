# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that a scan finds the bad blocks and moves them, no others, and that its pass goes on after
# suspend, remove, and in the daemon. How fast it is it does not prove.
modules fuse

# A disk that is filled, over $back, before holes are punched into main.
scanned_disk() {
    target
    back=$(loop main 20480)
    main=$(holed bad "$back")
    spare=$(loop spare 32768)
    format
    up
    oracle fill "$model" "$disk"
}
stat_of() { message stats | sed -n "s/^$1 //p"; }
scan_is() { [ "$(stat_of scan_state)" = "$1" ]; }
past() { [ "$(stat_of scan_cursor_sector)" -gt "$1" ]; }

finds_bad_blocks() {
    scanned_disk
    punch bad "$back" 800 8 10000 80 20472 8
    message remap 4096 8
    message scan start
    until_true scan_is idle
    same 'scan_passes' 1 "$(stat_of scan_passes)"
    same 'scan_found' 12 "$(stat_of scan_found)"
    same 'remaps_scan' 12 "$(stat_of remaps_scan)"
    same 'active_mappings' 13 "$(number active_mappings)"
    oracle lost "$model" 800 8
    oracle lost "$model" 10000 80
    oracle lost "$model" 20472 8
    oracle verify "$model" "$disk"
    # A second one finds nothing, and of a part only what lies in it is read.
    message scan start 0 2048
    until_true scan_is idle
    same 'scan_passes' 1 "$(stat_of scan_passes)"
    same 'active_mappings' 13 "$(number active_mappings)"
    # What comes back is salvaged: nothing was destroyed on main.
    punch bad "$back"
    message salvage
    same 'lost_sectors' 0 "$(stat_of lost_sectors)"
    down
    spare_is_clean
}
check 'P5 a scan moves the blocks that are bad, and loses nothing that comes back' finds_bad_blocks

goes_on() {
    local at
    scanned_disk
    refused '' message scan pause
    message set scan_speed_max 256 # a region takes four seconds, the pass forty
    message scan start
    refused '' message scan start
    until_true past 4000
    dmsetup suspend "$name"
    dmsetup resume "$name"
    scan_is idle && fail 'the pass is lost by suspend and resume'
    past 4000 || fail 'the cursor is lost by suspend and resume'
    message scan pause
    until_true scan_is paused
    at=$(stat_of scan_cursor_sector)
    down
    spare_is_clean
    if [ -x /bin/dmremapfs ]; then
        mkdir -p /mnt/daemon
        dmremapfs "$main" /mnt/daemon -o spare="$spare"
        until_true [ -e /mnt/daemon/disk.img ]
        cat /mnt/daemon/control/rescan
        grep -q paused /mnt/daemon/control/rescan
        umount /mnt/daemon
        until_true dmremapctl check "$spare"
    fi
    up
    scan_is paused || fail 'the pause is lost'
    at_least 'cursor' "$(stat_of scan_cursor_sector)" "$at"
    message set scan_speed_max 0
    message scan resume
    until_true scan_is idle
    same 'scan_passes' 1 "$(stat_of scan_passes)"
    same 'active_mappings' 0 "$(number active_mappings)"
    message scan start
    message scan stop
    scan_is idle
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'a pass goes on after suspend and remove, and in the daemon' goes_on

beside_users() {
    scanned_disk
    punch bad "$back" 800 8 10000 80
    oracle write "$model" "$disk" 800 8
    oracle write "$model" "$disk" 10000 80
    oracle stress "$model" "$disk" 5 2000 >stress 2>&1 &
    writer=$!
    for _ in 1 2 3; do
        message scan start
        dmsetup suspend "$name"
        dmsetup resume "$name"
        message remap 4096 64
        until_true scan_is idle
        message unmap 4096 64
    done
    wait "$writer" || fail "$(cat stress)"
    oracle verify "$model" "$disk"
    same 'active_mappings' 11 "$(number active_mappings)"
    down
    spare_is_clean
}
check 'P1 scans beside users and orders by hand' beside_users
