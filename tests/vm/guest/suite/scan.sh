# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that a scan finds the bad blocks and moves them, no others, and what is bad on the spare, slots and
# metadata; and that its pass goes on after suspend, remove, and in the daemon. How fast it is it does not
# prove.
modules fuse dm-delay

scan_is() { [ "$(stat_of scan_state)" = "$1" ]; }
past() { [ "$(stat_of scan_cursor_sector)" -gt "$1" ]; }
scanned() {  # [SECTOR COUNT]
    message scan start "$@"
    until_true scan_is idle
}

# 4 KiB of the spare, at this byte, behind the target's back.
garble() { dd if=/dev/urandom of="$spare_back" bs=4096 seek=$(($1 / 4096)) count=1 oflag=direct conv=notrunc status=none; }
holds() {  # BYTE FILE
    spare_page "$1" found
    cmp found "$2"
}

finds_bad_blocks() {
    worn_disk
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
    worn_disk
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
        mount_daemon
        cat /mnt/daemon/control/rescan
        grep -q paused /mnt/daemon/control/rescan
        unmount_daemon
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
    worn_disk
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

# ---------------------------------------------------------------- the spare

bad_slot() {
    local at
    worn_disk
    message remap 800 24
    oracle write "$model" "$disk" 800 24
    dd if="$disk" of=held bs=4096 skip=101 count=1 iflag=direct status=none
    at=$(message query 808 | sed -n 's/^spare_sector //p')
    punch worn "$spare_back" "$at" 8
    scanned
    same 'scan_found' 1 "$(stat_of scan_found)"
    dmesg | grep -q 'the slot of the block at sector 808 can not be read' || fail 'the log does not say it'
    # It keeps its block, and what it held is there again when it can be read.
    same 'active_mappings' 3 "$(number active_mappings)"
    same 'lost_sectors' 0 "$(stat_of lost_sectors)"
    same 'slots_bad' 0 "$(stat_of slots_bad)"
    refused 'Input/output error' dd if="$disk" of=/dev/null bs=4096 skip=101 count=1 iflag=direct status=none
    punch worn "$spare_back"
    dd if="$disk" of=back bs=4096 skip=101 count=1 iflag=direct status=none
    cmp held back
    oracle verify "$model" "$disk"
    scanned
    same 'scan_found' 1 "$(stat_of scan_found)"
    down
    spare_is_clean
}
check 'P5 a scan finds a slot that cannot be read, which keeps its block' bad_slot

retried_in_passing() {
    worn_disk
    punch bad "$back" 800 8
    refused 'Input/output error' dd if="$disk" of=/dev/null bs=4096 skip=100 count=1 iflag=direct status=none
    same 'lost_sectors' 8 "$(stat_of lost_sectors)"
    scanned 0 2048
    same 'lost_sectors' 8 "$(stat_of lost_sectors)"
    punch bad "$back"
    scanned 0 2048
    same 'lost_sectors' 0 "$(stat_of lost_sectors)"
    same 'scan_found' 0 "$(stat_of scan_found)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P5 a scan retries lost sectors in passing' retried_in_passing

garbled_pages() {
    local repairs=0 at which
    worn_disk
    message remap 800 80
    spare_page "$first" said
    for which in "$first" "$second" "$first $second"; do
        for at in $which; do garble "$at"; done
        scanned 0 8
        repairs=$((repairs + 1))
        same 'metadata_repairs' $repairs "$(stat_of metadata_repairs)"
        for at in $first $second; do holds "$at" said || fail "the copy at $at is not rewritten"; done
    done
    # The copy that is good is not put at risk.
    takes_no_write "$first"
    garble "$second"
    scanned 0 8
    same 'metadata_repairs' 4 "$(stat_of metadata_repairs)"
    holds "$second" said || fail 'the second copy is not rewritten'
    same 'retired_pages' 0 "$(stat_of retired_pages)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
    up
    same 'metadata_repairs, later' 4 "$(stat_of metadata_repairs)"
    same 'active_mappings' 10 "$(number active_mappings)"
    oracle verify "$model" "$disk"
}
check 'P4 a scan rewrites pages of the table that were garbled, and no good copy' garbled_pages

moved() { [ "$(stat_of moves)" = "$1" ]; }
page_retires() {
    worn_disk
    message remap 800 80
    takes_no_write "$second"
    garble "$second"
    scanned 0 8
    same 'metadata_repairs' 0 "$(stat_of metadata_repairs)"
    same 'retired_pages' 1 "$(stat_of retired_pages)"
    message health | grep -q '^causes retired_pages$' || fail "$(message health)"
    until_true moved 10
    oracle stress "$model" "$disk" 3 300
    oracle verify "$model" "$disk"
    same 'active_mappings' 10 "$(number active_mappings)"
    punch worn "$spare_back"
    down
    up
    same 'retired_pages, later' 0 "$(stat_of retired_pages)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P4 a page of which one copy takes no write any more is retired, and its blocks move' page_retires

page_is_lost() {
    worn_disk
    message remap 800 80
    takes_no_write "$first" "$second"
    garble "$first"
    garble "$second"
    scanned 0 8
    message health | grep -q '^causes retired_pages lost_pages$' || fail "$(message health)"
    message health | grep -q '^advice copy the disk now' || fail "$(message health)"
    until_true moved 10
    oracle stress "$model" "$disk" 3 300
    oracle verify "$model" "$disk"
    # What is said comes true: who opens it would have to guess.
    down
    refused '' up
}
check 'P4 a page that takes no good copy is told of while its blocks can still be read' page_is_lost

# A pass whose only region cannot be read before the command has been carried out: any change of the
# superblock would rewrite its copies. So would the cursor's, on a machine that stands still for half a
# minute meanwhile; who calls gives it another chance.
while_main_waits() {  # COMMAND...
    dmsetup suspend --nolockfs bad
    message scan start 0 8
    "$@"
    dmsetup resume bad
    until_true scan_is idle
}
garble_all() {
    local at
    for at in "$@"; do garble "$at"; done
}

garbled_superblock() {
    local at other repairs=0
    worn_disk
    for at in 65536 2097152 6291456; do
        for _ in 1 2 3 4 5; do
            while_main_waits garble "$at"
            [ "$(stat_of metadata_repairs)" = $repairs ] || break
        done
        repairs=$((repairs + 1))
        same "metadata_repairs, copy at $at" $repairs "$(stat_of metadata_repairs)"
        spare_page "$at" copy
        for other in 65536 2097152 6291456; do
            spare_page $other copy2
            # All but the checksum.
            cmp -n 4092 copy copy2 || fail "the copy at $at is not rewritten"
        done
    done
    # Where no copy is ours any more nobody knows whose the pages are.
    message remap 800 80
    spare_page "$first" ours
    for _ in 1 2 3 4 5; do
        repairs=$(stat_of metadata_repairs)
        while_main_waits garble_all 65536 2097152 6291456 "$first" "$second"
        [ "$(stat_of metadata_repairs)" != "$repairs" ] || break
    done
    same 'metadata_repairs' "$repairs" "$(stat_of metadata_repairs)"
    same 'retired_pages' 0 "$(stat_of retired_pages)"
    # The superblock is ours again by the end of the pass.
    scanned 0 8
    same 'metadata_repairs' $((repairs + 1)) "$(stat_of metadata_repairs)"
    holds "$first" ours
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P4 a scan rewrites a copy of the superblock that was garbled' garbled_superblock

daemon_stat() { sed -n "s/^$1 //p" /mnt/daemon/control/stats; }
daemon_is() { grep -q "$1" /mnt/daemon/control/rescan; }

one_begins_the_other_ends() {
    local slot
    have dmremapfs
    worn_disk
    message remap 16000 8
    slot=$(message query 16000 | sed -n 's/^spare_sector //p')
    message set scan_speed_max 256
    message scan start
    until_true past 2000
    message scan pause
    until_true scan_is paused
    down

    mount_daemon
    spare_page "$first" said
    garble "$first"
    punch worn "$spare_back" "$slot" 8
    echo 0 >/mnt/daemon/control/params/scan_speed_max
    echo resume >/mnt/daemon/control/rescan
    until_true daemon_is idle
    same "the daemon's passes" 1 "$(daemon_stat scan_passes)"
    same "the daemon's finds" 1 "$(daemon_stat scan_found)"
    same "the daemon's repairs" 1 "$(daemon_stat metadata_repairs)"
    holds "$first" said || fail 'the daemon did not rewrite the page'
    punch worn "$spare_back"
    echo 256 >/mnt/daemon/control/params/scan_speed_max
    echo start >/mnt/daemon/control/rescan
    echo pause >/mnt/daemon/control/rescan
    unmount_daemon

    up
    scan_is paused || fail 'the pause is lost'
    same 'scan_passes' 1 "$(stat_of scan_passes)"
    same 'metadata_repairs' 1 "$(stat_of metadata_repairs)"
    spare_page "$first" said
    garble "$second"
    punch worn "$spare_back" "$slot" 8
    message set scan_speed_max 0
    message scan resume
    until_true scan_is idle
    same 'scan_passes' 2 "$(stat_of scan_passes)"
    same 'scan_found' 2 "$(stat_of scan_found)"
    same 'metadata_repairs' 2 "$(stat_of metadata_repairs)"
    holds "$second" said || fail 'the target did not rewrite the page'
    punch worn "$spare_back"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'a pass that one has begun the other ends, with slots and metadata' one_begins_the_other_ends
