# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034
# Measures what the target costs: beside dm-linear over the same main, in one boot and interleaved, without
# remaps and with a tenth of the blocks remapped, together, evenly spread, and scattered by chance; loaded and
# unloaded 100 times; the memory that remaps take. Run by `make bench-vm` and by nothing else; its lines begin
# with `# bench`.
#
# Judges nothing but that all this works. Main and spare are null_blk's, in memory, and once each request
# takes them 100 microseconds, as it takes a good SSD, and once no time at all: then every instruction shows.
module null_blk nr_devices=0
modules dm-zero

ROUNDS=3
say() { echo "# bench $*" >/dev/console; }
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

# ---------------------------------------------------------------- loading, memory

load_and_unload() {
    target
    loop_pair 20480 20480
    format
    rmmod dm-remap-v4
    for _ in $(seq 100); do
        target
        up
        dd if="$disk" of=/dev/null bs=4096 count=1 iflag=direct status=none
        down
        rmmod dm-remap-v4
    done
    target
    say 'loaded, opened, closed and unloaded 100 times'
}
check 'loaded and unloaded 100 times' load_and_unload

# A spare whose slots forget what is written to them, and whose metadata is on $1.
forgetful() {
    local end first second at=0 copy
    end=$(sectors_of "$1")
    dmremapctl examine --json "$1" >examined
    first=$(($(sed -n 's/.*"first_slot_offset_bytes": \([0-9]*\).*/\1/p' examined) / 512))
    second=$(($(sed -n 's/.*"second_table_offset_bytes": \([0-9]*\).*/\1/p' examined) / 512))
    echo "0 $first linear $1 0"
    at=$first
    sed -n 's/.*"offset_bytes": \([0-9]*\).*/\1/p' examined >copies
    while read -r copy; do
        copy=$((copy / 512))
        if [ "$copy" -lt "$at" ] || [ "$copy" -ge "$second" ]; then continue; fi
        [ "$copy" = "$at" ] || echo "$at $((copy - at)) zero"
        echo "$copy 2048 linear $1 $copy"
        at=$((copy + 2048))
    done <copies
    echo "$at $((second - at)) zero"
    echo "$second $((end - second)) linear $1 $second"
}

free_bytes() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
    sleep 1
    awk '$1 == "nr_free_pages" { print $2 * 4096 }' /proc/vmstat
}

memory_of_remaps() {
    local blocks=262144 sectors=2560000 back free
    target
    # Neither takes room for what is not written to it.
    back=$(loop spare $((sectors + 262144)))
    dmsetup create zeros --table "0 $sectors zero"
    main=/dev/mapper/zeros
    spare=$back
    format
    forgetful "$back" >table
    dmsetup create forgetful <table
    spare=/dev/mapper/forgetful
    up
    message remap 0 $((blocks * 8))
    same 'active_mappings' $blocks "$(number active_mappings)"
    down
    free=$(free_bytes)
    up
    say "$blocks remaps: $((free - $(free_bytes))) bytes of memory when they are opened," \
        "$(((free - $(free_bytes)) / blocks)) each"
    same 'active_mappings' $blocks "$(number active_mappings)"
    down
    dmsetup remove forgetful
}
check 'the memory of remaps' memory_of_remaps

# ---------------------------------------------------------------- beside dm-linear

# A disk in memory.
memory_disk() {  # NUMBER MIB NANOSECONDS of a request
    local disks=/sys/kernel/config/nullb
    [ -d "$disks" ] || mount -t configfs configfs /sys/kernel/config
    mkdir "$disks/nullb$1"
    echo "$2" >"$disks/nullb$1/size"
    echo 1 >"$disks/nullb$1/memory_backed"
    if [ "$3" != 0 ]; then
        echo 2 >"$disks/nullb$1/irqmode"
        echo "$3" >"$disks/nullb$1/completion_nsec"
    fi
    echo 1 >"$disks/nullb$1/power"
    until_true [ -b "/dev/nullb$1" ]
    echo "/dev/nullb$1"
}

# Microseconds of a request, one after the other.
time_of() {  # DEVICE RW SIZE BYTES
    fio --name=time --filename="$1" --size=16m --rw="$2" --bs="$3" --io_size="$4" --direct=1 --ioengine=psync \
        --thread --norandommap --randrepeat=0 --output-format=terse --terse-version=3 | awk -F ';' '{ print $40 + $81 }'
}

small='randread 4k 8m:randwrite 4k 8m'
compare() {  # WHAT WAYS
    local way
    echo "$2" | tr : '\n' >ways
    while read -r way; do
        rm -f plain ours
        for _ in $(seq "$ROUNDS"); do
            # shellcheck disable=SC2086
            time_of /dev/mapper/plain $way >>plain
            # shellcheck disable=SC2086
            time_of "$disk" $way >>ours
        done
        say "$1, ${way% *}: dm-linear $(median <plain), dm-remap-v4 $(median <ours) microseconds a request; speed" \
            "$(echo "$(median <plain) $(median <ours)" | awk '{ printf "%.3f", $1 / $2 }')"
    done <ways
}
# Of every ten blocks one, and in what order they went to their slots chance has it, too.
by_chance() {
    awk 'BEGIN { srand(7); for (at = 0; at < 32768; at += 80) print rand(), at + 8 * int(rand() * 10) }' |
        awk '$2 < 32768' | sort -n | cut -d ' ' -f 2
}

beside_linear() {  # NANOSECONDS of a request
    local at
    have fio
    target
    [ -d /sys/module/null_blk ] || skip 'the kernel has no null_blk'
    main=$(memory_disk 0 16 "$1")
    spare=$(memory_disk 1 24 "$1")
    format
    dmsetup create plain --table "0 $(sectors_of "$main") linear $main 0"
    # Both have it open: device-mapper shares a device among its own.
    up
    compare 'no remap' "$small:read 1m 128m:write 1m 128m"
    for at in 0 10240 20480; do message remap "$at" 1088 >/dev/null; done
    same 'active_mappings' 408 "$(number active_mappings)"
    compare 'a tenth remapped, in three places' "$small:read 1m 128m:write 1m 128m"
    message unmap 0 32768 >/dev/null
    at=0
    while [ $at -lt 32768 ]; do
        message remap "$at" 8 >/dev/null
        at=$((at + 80))
    done
    same 'active_mappings' 410 "$(number active_mappings)"
    compare 'each tenth block remapped' "$small:read 1m 128m:write 1m 128m"
    message unmap 0 32768 >/dev/null
    for at in $(by_chance); do message remap "$at" 8 >/dev/null; done
    at_least 'active_mappings' "$(number active_mappings)" 409
    compare 'a tenth remapped by chance' "$small"
}
say "the kernel's clock is $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
say '100 us a request:'
check 'beside dm-linear, 100 us a request' beside_linear 100000
say 'no time a request:'
check 'beside dm-linear, no time a request' beside_linear 0
