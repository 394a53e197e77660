# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that the target does not make those of the field's known mistakes that no other suite's
# subject is: M06 numbers cut to 32 bits, M08 flush, discard and limits not passed on, M11 counters
# that stand still, M12 clocks, M15 a write that slips onto main behind a fresh remap, M19 zeroing that
# is no zeroing. The others: M01 faults, M02 and M03 metadata, M04 parity, M05 and M17 powercut, M07 and
# M10 target, M09 suspend, M13 basic and activate, M14 and M16 dust and target, M20 resources.

# A sector of its own content, direct.
put_sector() {  # DEVICE SECTOR WORD
    printf '%-512s' "$3" | dd of="$1" bs=512 seek="$2" count=1 oflag=direct conv=notrunc status=none
}
get_sector() {  # DEVICE SECTOR: its word
    dd if="$1" bs=512 skip="$2" count=1 iflag=direct status=none | tr -d ' \0'
}

# Main is of 20 TiB: sectors need 36 bits there, blocks 33. Where a number lost its upper bits, the
# block that is bad and the good one at its low bits would take each other's place.
wide_numbers() {
    local low high length=42949672960 bad=''
    target
    truncate -s "$((length * 512))" "$work/main"
    main=$(loop main "$length")
    spare=$(loop spare 32768)
    # Beyond 2^32 sectors, 2^32 blocks, and 2^31 blocks.
    for high in $((4294967296 + 800)) $((17179869184 + 1600)) $((34359738368 + 2400)); do
        bad="$bad $high 8"
    done
    # shellcheck disable=SC2086 # words
    main=$(holed wide "$main" $bad)
    format
    up
    for high in $((4294967296 + 800)) $((17179869184 + 1600)) $((34359738368 + 2400)); do
        low=$((high % 4294967296))
        put_sector "$disk" "$low" "low-$low"
        put_sector "$disk" "$((high + 8))" "after-$high"
        put_sector "$disk" "$((high + 3))" "high-$high"
    done
    message remap "$((length - 8))" 8
    put_sector "$disk" "$((length - 1))" last
    wide_numbers_hold
    same 'remaps' 4 "$(number active_mappings)"
    down
    spare_is_clean
    up
    wide_numbers_hold
    message unmap "$((length - 8))" 8
    same 'the last sector' last "$(get_sector "$disk" "$((length - 1))")"
    same 'remaps' 3 "$(number active_mappings)"
    down
    spare_is_clean
}
wide_numbers_hold() {
    local high low
    for high in $((4294967296 + 800)) $((17179869184 + 1600)) $((34359738368 + 2400)); do
        low=$((high % 4294967296))
        same "sector $high" "high-$high" "$(get_sector "$disk" "$((high + 3))")"
        same "sector $low" "low-$low" "$(get_sector "$disk" "$low")"
        same 'the sector after' "after-$high" "$(get_sector "$disk" "$((high + 8))")"
        refused 'Input/output error' get_sector_or_fail "$((high + 4))"
    done
    same 'the last sector' last "$(get_sector "$disk" "$((length - 1))")"
}
get_sector_or_fail() { dd if="$disk" of=/dev/null bs=512 skip="$1" count=1 iflag=direct status=none; }
check 'M06 sectors and blocks beyond 32 bits stay apart' wide_numbers

# The word of a disk in sysfs that says how it likes its requests, or what it counted.
in_sysfs() { stat -L -c '/sys/dev/block/%Hr:%Lr' "$1"; }
queue_word() { cat "$(in_sysfs "$1")/queue/$2"; }
flushes_of() { awk '{ print $16 }' "$(in_sysfs "$1")/stat"; }

limits() {
    target
    loop_pair 20480 32768 -b 4096
    format
    up
    same 'logical block' 4096 "$(queue_word "$disk" logical_block_size)"
    same 'write cache' 'write back' "$(queue_word "$disk" write_cache)"
    refused '' dd if="$disk" of=back bs=512 skip=1 count=1 iflag=direct status=none
    down
}
check 'M08 the devices ask for blocks of 4096 bytes, and so does the disk' limits

# A flush that comes back has been to both: what lives in slots is as durable as what is on main.
flushes() {
    local of_main of_spare sector
    target
    loop_pair 20480 32768
    format
    up
    message remap 800 8
    for sector in 800 4000; do
        of_main=$(flushes_of "$main") of_spare=$(flushes_of "$spare")
        dd if=/dev/zero of="$disk" bs=512 seek="$sector" count=1 conv=fsync,notrunc status=none
        at_least "flushes of main for sector $sector" "$(flushes_of "$main")" "$((of_main + 1))"
        at_least "flushes of the spare for sector $sector" "$(flushes_of "$spare")" "$((of_spare + 1))"
    done
    # A synchronous write of one place: FUA, or a flush of the device where it is.
    of_spare=$(flushes_of "$spare")
    dd if=/dev/zero of="$disk" bs=512 seek=801 count=1 oflag=direct,dsync conv=notrunc status=none
    at_least 'flushes of the spare' "$(flushes_of "$spare")" "$((of_spare + 1))"
    down
}
check 'M08 a flush goes to both devices' flushes

blocks_of() { stat -c %b "$work/$1"; }

# Main gets a discard where nothing is remapped. Under a remap it keeps what it has, for that may be
# what a lost sector comes back from.
discards() {
    local before
    target
    have blkdiscard
    loop_pair 20480 32768
    format
    up
    dd if=/dev/zero of="$disk" bs=1M count=4 oflag=direct conv=notrunc status=none
    put_sector "$disk" 4100 below
    message remap 4096 8
    put_sector "$disk" 4100 moved
    before=$(blocks_of main)
    at_least 'what a discard may have at once' "$(queue_word "$disk" discard_max_bytes)" 4096
    blkdiscard -o 1048576 -l 2097152 "$disk"
    at_least 'blocks of main that a discard freed' "$((before - $(blocks_of main)))" 4000
    same 'main under the remap' below "$(get_sector "$main" 4100)"
    case $(get_sector "$disk" 4100) in moved | '') ;; *) fail 'a discard brought old data back' ;; esac
    same 'remaps' 1 "$(number active_mappings)"
    down
    spare_is_clean
}
check 'M08 a discard reaches main, but not under a remap' discards

# Whoever zeroes reads zeros, also where a block has moved or a sector was lost.
zeroing() {
    local sector
    target
    have blkdiscard
    loop_pair 20480 32768
    format
    up
    at_least 'what can be zeroed at once' "$(queue_word "$disk" write_zeroes_max_bytes)" 65536
    message remap 4096 8
    for sector in 4090 4100 4110; do put_sector "$disk" "$sector" old; done
    zeroed
    down
    # Where main has a hole zeroing is writing.
    main=$(holed bad "$main" 4104 8)
    up
    for sector in 4090 4100 4112; do put_sector "$disk" "$sector" old; done
    refused 'Input/output error' get_sector_or_fail 4105
    same 'a moved block and a lost one' 2 "$(number active_mappings)"
    zeroed
    down
    spare_is_clean
    up
    zeros
    down
    # A demo's devices zero by themselves, as a loop device on a tmpfs does not.
    a_demo
    message remap 4096 8
    for sector in 4090 4100 4110; do put_sector "$disk" "$sector" old; done
    zeroed
    down
}
zeroed() {
    blkdiscard -z -o $((4088 * 512)) -l $((128 * 512)) "$disk"
    zeros
}
zeros() {
    dd if="$disk" of=back bs=512 skip=4088 count=128 iflag=direct status=none
    cmp -n 65536 back /dev/zero
}
check 'M19 zeroed is zero, in slots and lost sectors too' zeroing

# Each device below takes a tenth of a second; what the disk says of its requests is no less.
counters() {
    local before
    target
    modules dm-delay
    loop_pair 20480 32768
    dmsetup create slow --table "0 20480 delay $main 0 100"
    main=/dev/mapper/slow
    format
    up
    message clear_stats
    before=$(number io_ops)
    dd if="$disk" of=back bs=4096 count=3 iflag=direct status=none
    dd if=back of="$disk" bs=4096 count=2 oflag=direct conv=notrunc status=none
    same 'requests' 5 "$(($(number io_ops) - before))"
    same 'bytes' 12288 "$(message stats | sed -n 's/^read_bytes //p')"
    at_least 'nanoseconds of three reads' "$(message stats | sed -n 's/^read_time_ns //p')" 250000000
    at_least 'nanoseconds of two writes' "$(message stats | sed -n 's/^write_time_ns //p')" 150000000
    down
}
check "M11 a request counts once, with its device's time" counters

# Main keeps a write to itself, and another sector of that block fails meanwhile. It is moved with what
# was written, not with what was there before: for that the healer has to wait for the write. It has had
# its turn when what was asked of it later is done.
write_under_way() {
    local slow writer reader
    target
    modules dm-delay
    loop_pair 20480 32768
    slow="0 20480 delay $main 0 0 $main 0"
    dmsetup create slow --table "$slow 0"
    main=$(holed bad /dev/mapper/slow)
    format
    up
    put_sector "$disk" 800 old
    punch bad /dev/mapper/slow 803 1
    dmsetup suspend --nolockfs slow
    dmsetup load slow --table "$slow 600000"
    dmsetup resume slow
    put_sector "$disk" 800 new &
    writer=$!
    until_true writes_under_way bad 1
    get_sector "$disk" 803 &
    reader=$!
    until_true main_has_failed
    message set lost_retry_minutes 0
    message set lost_retry_minutes 0
    # A dm-delay that is suspended lets go of what it has.
    dmsetup suspend --nolockfs slow
    dmsetup load slow --table "$slow 0"
    dmsetup resume slow
    wait "$writer"
    wait "$reader"
    same 'remaps' 1 "$(number active_mappings)"
    same 'what was written' new "$(get_sector "$disk" 800)"
    down
    spare_is_clean
}
writes_under_way() {  # NAME COUNT
    [ "$(awk '{ print $2 }' "/sys/block/dm-$(numbers_of "$1" minor | tr -d ' ')/inflight")" = "$2" ]
}
main_has_failed() { [ "$(message stats | sed -n 's/^main_read_errors //p')" -ge 1 ]; }
check 'M15 a block is not moved while a write to it is under way' write_under_way

# Only a disk's own history knows years; whether a spare is good is no matter of the clock.
clock_set_back() {
    local now years
    target
    loop_pair 20480 32768
    now=$(date +%s)
    date -s "@$((now + 86400 * 4000))" >/dev/null
    format
    up
    oracle fill "$model" "$disk"
    message remap 800 80
    oracle write "$model" "$disk" 796 40
    down
    for years in 20 0 12; do
        date -s "@$((86400 * 365 * (years + 1)))" >/dev/null
        up
        same 'remaps' "$((10 + (years != 20) + (years == 12)))" "$(number active_mappings)"
        oracle verify "$model" "$disk"
        message remap "$((4000 + years * 8))" 8
        oracle write "$model" "$disk" "$((4000 + years * 8))" 8
        down
        spare_is_clean
    done
    date -s "@$now" >/dev/null
}
check 'M12 a clock that is set back invalidates nothing' clock_set_back
