# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034
# Proves what the module's parameters do: each is written and read in sysfs, refused out of its range, and
# changes what the disks do at once. A scan that must not begin is waited for by one that is asked for
# after it would have: that is no proof for a machine on which work items overtake each other.

parameters=/sys/module/dm_remap_v4/parameters
set_to() { echo "$2" >"$parameters/$1"; }
scan_is() { [ "$(stat_of scan_state)" = "$1" ]; }
passes_are() { [ "$(stat_of scan_passes)" = "$1" ]; }

# Two disks would do as well as one: they are the module's.
a_disk() {
    target
    back=$(loop main 20480)
    main=$(holed bad "$back")
    spare=$(loop spare 32768)
    format
    up
}

# Lines of the log, from here on, that hold a text.
since() { dmesg | wc -l >log.begin; }
logged() { dmesg | tail -n +"$(($(cat log.begin) + 1))" | grep -c "$1" || true; }

ranges() {
    target
    same 'dm_remap_debug' 0 "$(cat $parameters/dm_remap_debug)"
    same 'enable_background_scanning' Y "$(cat $parameters/enable_background_scanning)"
    same 'scan_interval_hours' 24 "$(cat $parameters/scan_interval_hours)"
    for word in 4 -1 much ''; do refused '' set_to dm_remap_debug "$word"; done
    for word in 2 maybe; do refused '' set_to enable_background_scanning "$word"; done
    for word in 0 8785 4294967297 daily; do refused '' set_to scan_interval_hours "$word"; done
    same 'dm_remap_debug' 0 "$(cat $parameters/dm_remap_debug)"
    same 'enable_background_scanning' Y "$(cat $parameters/enable_background_scanning)"
    same 'scan_interval_hours' 24 "$(cat $parameters/scan_interval_hours)"
    rmmod dm-remap-v4
    refused '' insmod /modules/dm-remap-v4.ko dm_remap_debug=4
    insmod /modules/dm-remap-v4.ko dm_remap_debug=3 enable_background_scanning=0 scan_interval_hours=8784
    same 'dm_remap_debug' 3 "$(cat $parameters/dm_remap_debug)"
    same 'enable_background_scanning' N "$(cat $parameters/enable_background_scanning)"
    same 'scan_interval_hours' 8784 "$(cat $parameters/scan_interval_hours)"
}
check 'P8 parameters are in sysfs and take what is in their range' ranges

debugging() {
    a_disk
    oracle fill "$model" "$disk"
    read_some() { dd if="$disk" of=/dev/null bs=4096 skip=300 count=2 iflag=direct status=none; }
    since
    punch bad "$back" 800 8
    message remap 1600 8
    read_some
    same 'at 0: remaps' 0 "$(logged 'remapped to slot')"
    same 'at 0: bios' 0 "$(logged 'read of [0-9]* bytes at sector')"
    set_to dm_remap_debug 1
    since
    message remap 2400 8
    read_some
    same 'at 1: remaps' 1 "$(logged 'block at sector 2400 remapped to slot')"
    same 'at 1: bios' 0 "$(logged 'read of [0-9]* bytes at sector')"
    set_to dm_remap_debug 2
    since
    oracle write "$model" "$disk" 800 8
    at_least 'at 2: failed calls' "$(logged 'sector 800 failed on /dev/mapper/bad, status -5')" 1
    same 'at 2: bios' 0 "$(logged 'read of [0-9]* bytes at sector')"
    set_to dm_remap_debug 3
    since
    read_some
    # One run lies on the spare, the other on main.
    same 'at 3: on the spare' 1 "$(logged 'read of 4096 bytes at sector 2400, spare: status 0')"
    same 'at 3: on main' 1 "$(logged 'read of 4096 bytes at sector 2408, main: status 0')"
    # A flood is cut short: ten in five seconds, so 1000 only where a read takes half a second.
    dd if="$disk" of=/dev/null bs=4096 count=1000 skip=1000 iflag=direct status=none
    [ "$(logged 'read of 4096 bytes at sector')" -lt 1000 ] || fail 'nothing is rate-limited'
    set_to dm_remap_debug 0
    since
    read_some
    same 'at 0 again: bios' 0 "$(logged 'read of [0-9]* bytes at sector')"
}
check 'dm_remap_debug logs what it says, and at 0 nothing' debugging

later() { date -s "@$(($(date +%s) + $1 * 3600))" >/dev/null; }
# Opening looks whether a scan is due.
look() { dmsetup suspend "$name" && dmsetup resume "$name"; }
none_begins() {
    look
    message scan start 0 2048
    until_true scan_is idle
    same "passes, $1" "$2" "$(stat_of scan_passes)"
}
begins() {
    look
    until_true passes_are "$1"
}

scanning() {
    a_disk
    message scan start
    begins 1
    later 25
    set_to enable_background_scanning N
    none_begins 'while the module says N' 1
    later 25
    set_to enable_background_scanning Y
    begins 2
    later 25
    message set enable_background_scanning N
    none_begins 'while the disk says N' 2
    later 25
    message set enable_background_scanning Y
    begins 3
    # The interval of the module, where the disk has none of its own.
    set_to scan_interval_hours 48
    later 25
    none_begins 'within the interval of the module' 3
    later 49
    begins 4
    # One of the disk's own is before it, whether longer or shorter.
    message set scan_interval_hours 72
    later 49
    none_begins 'within the interval of the disk' 4
    message set scan_interval_hours 1
    later 2
    begins 5
    down
    spare_is_clean
}
check 'enable_background_scanning and scan_interval_hours hold for all disks' scanning
