# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154  # the suites use what is set here; lib.sh sets $work
# A pair under test and its disk, in the words of the suites. Sourced by init after lib.sh.
#
#   $main, $spare     the devices of the pair, set by loop_pair or by the check itself
#   $name, $disk      the device-mapper device over it, and its node
#   $model            what the oracle knows of the disk

name=test-remap
disk=/dev/mapper/$name
model=$work/model

# The target, its module loaded; a kernel without it skips the suite's checks.
target() {
    [ -e /modules/dm-remap-v4.ko ] || skip 'dm-remap-v4.ko is not built'
    module dm-remap-v4
}

# Two loop devices over fresh files; with `-b 4096` and the like for both.
loop_pair() {  # MAIN_SECTORS SPARE_SECTORS [losetup's options]...
    local main_sectors=$1 spare_sectors=$2
    shift 2
    main=$(loop main "$main_sectors" "$@")
    spare=$(loop spare "$spare_sectors" "$@")
}

format() { dmremapctl format --main "$main" --spare "$spare" "$@"; }

# A pair in memory, on which also zeroing is the device's own matter.
mode=/sys/module/dm_remap_v4/parameters/real_device_mode
a_demo() {  # [TABLE]
    target
    echo N >"$mode"
    main=/dev/any-main
    spare=/dev/any-spare
    dmsetup create "$name" --table "${1:-$(demo_table)}"
    echo Y >"$mode"
}
demo_table() { echo "0 ${1:-20480} dm-remap-v4 /dev/any-main /dev/any-spare"; }

table() { echo "0 $(sectors_of "$main") dm-remap-v4 $main $spare"; }
up() { dmsetup create "$name" --table "$(table)"; }
down() { dmsetup remove "$name"; }
message() { dmsetup message "$name" 0 "$@"; }

# The other implementation in the same guest, its disk /mnt/daemon/disk.img.
mount_daemon() {
    mkdir -p /mnt/daemon
    dmremapfs "$main" /mnt/daemon -o spare="$spare"
    until_true [ -e /mnt/daemon/disk.img ]
}
# The spare is whole when the daemon has closed it.
unmount_daemon() {
    umount /mnt/daemon
    until_true dmremapctl check "$spare"
}

# A device over $1 that fails where it is told to: sectors FIRST COUNT, as many as given.
holed() {  # NAME DEVICE [FIRST COUNT]...
    dmsetup create "$1" --table "$(holed_table "$@")"
    echo "/dev/mapper/$1"
}
# Puts other holes into it. What is under way is waited for.
punch() {  # NAME DEVICE [FIRST COUNT]...
    dmsetup suspend --nolockfs "$1"
    dmsetup load "$1" --table "$(holed_table "$@")"
    dmsetup resume "$1"
}
holed_table() {
    local device=$2 at=0 end
    end=$(sectors_of "$device")
    shift 2
    while [ $# -ge 2 ]; do
        [ "$1" = "$at" ] || echo "$at $(($1 - at)) linear $device $at"
        echo "$1 $2 error"
        at=$(($1 + $2))
        shift 2
    done
    [ "$at" = "$end" ] || echo "$at $((end - at)) linear $device $at"
}

# A disk that is filled, over $back and $spare_back, before holes are punched into these: bad, and worn. Where its
# two tables begin: $first, $second.
worn_disk() {
    target
    back=$(loop main 20480)
    main=$(holed bad "$back")
    spare_back=$(loop spare 32768)
    spare=$(holed worn "$spare_back")
    format
    dmremapctl examine --json "$spare" >examined
    first=1048576
    second=$(sed -n 's/.*"second_table_offset_bytes": \([0-9]*\).*/\1/p' examined)
    up
    oracle fill "$model" "$disk"
}

# 4 KiB of the spare, at this byte, behind the target's back.
spare_page() { dd if="$spare_back" of="$2" bs=4096 skip=$(($1 / 4096)) count=1 iflag=direct status=none; }  # BYTE FILE
put_spare_page() {  # BYTE FILE
    dd if="$2" of="$spare_back" bs=4096 seek=$(($1 / 4096)) count=1 oflag=direct conv=notrunc status=none
}

stat_of() { message stats | sed -n "s/^$1 //p"; }

# From here on these 4 KiB of the spare can be read, and it can be flushed, but they take no writes.
takes_no_write() {  # BYTE...
    local at=0 end byte
    end=$(sectors_of "$spare_back")
    [ -e /dev/mapper/no-writes ] || dmsetup create no-writes --table '0 8 error'
    dmsetup suspend --nolockfs worn
    {
        for byte in "$@"; do
            byte=$((byte / 512))
            [ "$byte" = "$at" ] || echo "$at $((byte - at)) linear $spare_back $at"
            echo "$byte 8 delay $spare_back $byte 0 /dev/mapper/no-writes 0 0 $spare_back 0 0"
            at=$((byte + 8))
        done
        echo "$at $((end - at)) linear $spare_back $at"
    } | dmsetup load worn
    dmsetup resume worn
}

# The numbers of the status line by name.
number() {
    case $1 in
        reads) status_word "$name" 7 ;;
        writes) status_word "$name" 8 ;;
        remaps) status_word "$name" 9 ;;
        errors) status_word "$name" 10 ;;
        active_mappings) status_word "$name" 11 ;;
        io_ops) status_word "$name" 12 ;;
        total_time_ns) status_word "$name" 13 ;;
    esac
}
at_least() { [ "$2" -ge "$3" ] || fail "$1: wanted at least $3, found $2"; }

# The spare as it is left is whole, in the eyes of the other implementation.
spare_is_clean() { dmremapctl check "$spare" || fail "dmremapctl check $spare: exit $?"; }
