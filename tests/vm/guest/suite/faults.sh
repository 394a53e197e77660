# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves how the target takes errors that a driver makes: scsi_debug's medium errors and null_blk's bad
# blocks (P1, P5), a disk that is pulled and one that fails everywhere (P6), and a flush that fails (P2).
# Holes that dm's error target makes are target.sh's.
modules sd_mod

# A SCSI disk of 12 MiB as main; its medium errors are there when opts is 2.
scsi_main() {
    module scsi_debug dev_size_mb=12 delay=0 medium_error_start=300 medium_error_count=4
    until_true [ -b /dev/sda ]
    main=/dev/sda
    spare=$(loop spare 32768)
    format
}
scsi_opts() { echo "$1" >/sys/bus/pseudo/drivers/scsi_debug/opts; }

read_sectors() {  # FIRST COUNT FILE
    dd if="$disk" of="$3" bs=512 skip="$1" count="$2" iflag=direct status=none
}

medium_errors() {
    target
    scsi_main
    up
    dd if=/dev/urandom of=pattern bs=1M count=12 status=none
    dd if=pattern of="$disk" bs=1M oflag=direct status=none
    scsi_opts 2
    # Sectors 300 to 303 are the second half of a block: the first is salvaged.
    refused 'Input/output error' read_sectors 296 8 back
    same 'remaps' 1 "$(number remaps)"
    refused 'Input/output error' read_sectors 300 1 back
    read_sectors 296 4 back
    dd if=pattern of=want bs=512 skip=296 count=4 status=none
    cmp back want
    read_sectors 304 24272 back
    dd if=pattern of=want bs=512 skip=304 status=none
    cmp back want
    # Who writes heals.
    dd if=pattern of="$disk" bs=512 seek=300 skip=300 count=4 oflag=direct conv=notrunc status=none
    dd if="$disk" of=back bs=1M iflag=direct status=none
    cmp back pattern
    same 'active_mappings' 1 "$(number active_mappings)"
    down
    spare_is_clean
    up
    dd if="$disk" of=back bs=1M iflag=direct status=none
    cmp back pattern
    scsi_opts 0
}
check 'P1 a medium error loses what nobody can read, no more, and no less' medium_errors

# null_blk's bad blocks take neither reads nor writes, and a request that touches one fails as a whole.
bad_blocks() {
    local disks=/sys/kernel/config/nullb/nullb0
    module null_blk nr_devices=0
    [ -d /sys/module/null_blk ] || skip 'the kernel has no null_blk'
    [ -d /sys/kernel/config/nullb ] || mount -t configfs configfs /sys/kernel/config
    mkdir "$disks"
    [ -e "$disks/badblocks" ] || skip 'null_blk knows no bad blocks'
    echo 12 >"$disks/size"
    echo 512 >"$disks/blocksize"
    echo 1 >"$disks/memory_backed"
    echo 1 >"$disks/power"
    until_true [ -b /dev/nullb0 ]
    main=/dev/nullb0
    spare=$(loop spare 32768)
    format
    up
    oracle fill "$model" "$disk"
    echo '+800-800' >"$disks/badblocks"
    echo '+4099-4130' >"$disks/badblocks"
    echo '+24568-24575' >"$disks/badblocks"
    oracle lost "$model" 800 1
    oracle lost "$model" 4099 32
    oracle lost "$model" 24568 8
    oracle verify "$model" "$disk"
    same 'active_mappings' 7 "$(number active_mappings)"
    oracle stress "$model" "$disk" 3 1000
    oracle verify "$model" "$disk"
    same 'active_mappings' 7 "$(number active_mappings)"
    down
    spare_is_clean
    up
    oracle verify "$model" "$disk"
    # Main kept what it had where nobody wrote since.
    echo '-0-24575' >"$disks/badblocks"
    message salvage
    same 'lost_sectors' 0 "$(message stats | sed -n 's/^lost_sectors //p')"
    down
    spare_is_clean
    echo 0 >"$disks/power"
    rmdir "$disks"
}
check 'P1 P5 bad blocks of null_blk are moved, and come back with what main kept' bad_blocks

pulled() {
    local at
    target
    scsi_main
    up
    dd if=/dev/urandom of="$disk" bs=1M count=12 oflag=direct status=none
    message remap 800 8
    echo 1 >/sys/block/sda/device/delete
    for at in 0 3000 6000 9000 12000 15000 18000 21000 24000; do
        refused '' read_sectors "$at" 8 back
        refused '' dd if=/dev/zero of="$disk" bs=512 seek="$at" count=8 oflag=direct conv=notrunc status=none
    done
    # Nothing was moved, and what is in a slot can still be read.
    same 'active_mappings' 1 "$(number active_mappings)"
    read_sectors 800 8 back
    message health
    message health | grep -q failed
}
check 'P6 a disk that is pulled does not eat the spare' pulled

fails_everywhere() {
    local at
    target
    back=$(loop main 24576)
    main=$(holed bad "$back")
    spare=$(loop spare 32768)
    format
    up
    oracle fill "$model" "$disk"
    punch bad "$back" 0 24576
    for at in 0 3000 6000 9000 12000 15000 18000 21000 24000; do
        oracle fail "$model" "$disk" "$at" 8
        refused '' read_sectors "$at" 8 file
    done
    same 'active_mappings' 0 "$(number active_mappings)"
    message health | grep -q failed
    # The cable is put in again: whatever succeeds is noticed, and bad blocks are healed once more.
    punch bad "$back"
    read_sectors 16000 8 file
    until_true healthy
    oracle verify "$model" "$disk"
    punch bad "$back" 800 8
    oracle write "$model" "$disk" 800 8
    oracle verify "$model" "$disk"
    same 'active_mappings' 1 "$(number active_mappings)"
    down
    spare_is_clean
}
healthy() { ! message health | grep -q failed; }
check 'P6 a disk that fails everywhere trips the breaker, and comes back' fails_everywhere

flush_fails() {
    modules dm-flakey
    target
    back=$(loop main 24576)
    main=$(holed bad "$back")
    spare=$(loop spare 32768)
    format
    up
    oracle fill "$model" "$disk"
    sync "$disk"
    # Reads go well, writes and flushes fail.
    dmsetup suspend --nolockfs bad
    dmsetup load bad --table "0 24576 flakey $back 0 0 1000000 1 error_writes"
    dmsetup resume bad
    refused '' sync "$disk"
    punch bad "$back"
    refused '' sync "$disk"
    oracle verify "$model" "$disk"
    dmsetup suspend "$name"
    dmsetup resume "$name"
    refused '' sync "$disk"
    # Only a table that is loaded anew believes the disk again.
    down
    up
    sync "$disk"
    oracle write "$model" "$disk" 0 64
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P2 a flush that failed stays failed until the table is loaded anew' flush_fails

# A loop device makes a write and a flush of FUA, and its flush tells once of what was lost before it:
# to a write that could itself be made again.
fua_flush_fails() {
    target
    back=$(loop main 24576)
    main=$(losetup --show -f "$(holed bad "$back")")
    spare=$(loop spare 32768)
    format
    up
    dd if=/dev/urandom of="$disk" bs=4096 seek=100 count=1 oflag=direct status=none
    punch bad "$back" 800 8
    refused '' dd if=/dev/urandom of="$disk" bs=4096 seek=200 count=1 oflag=direct,dsync status=none
    refused '' sync "$disk"
    message health | grep -q read_only
    down
    dmremapctl check "$spare" || [ $? = 1 ] || fail "dmremapctl check $spare"
}
check 'P2 a flush that failed inside a FUA write stays failed, too' fua_flush_fails
