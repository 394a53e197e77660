# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves what demo mode is: a pair in memory on the target's ordinary path, with faults by message. What
# fails is healed or EIO as on a real device (P1, P2, P5, P6), nothing named is opened, and nothing is left
# in memory. That the ordinary path is right is the other suites' matter.

inject() { message inject "$@"; }
scan_is() { [ "$(stat_of scan_state)" = "$1" ]; }
state_is() { message health | grep -q "^state $1\$"; }
ram_disks() { find_disks | wc -l; }
find_disks() {
    local entry
    for entry in /sys/block/dmremap-*; do
        [ ! -e "$entry" ] || echo "${entry##*/}"
    done
}
# What the spare holds now, for the eyes of the other implementation.
spare_is_whole() {
    dmsetup suspend "$name"
    dd if="/dev/$(find_disks | grep spare)" of=copy bs=1M iflag=direct status=none
    dmsetup resume "$name"
    dmremapctl check copy || fail "dmremapctl check: exit $?"
}

reference_transcript() {
    local status
    a_demo
    dd if=/dev/urandom of=pattern bs=4096 count=10 status=none
    dd if=pattern of="$disk" bs=4096 count=10 oflag=direct status=none
    dd if="$disk" of=back bs=4096 count=10 iflag=direct status=none
    cmp pattern back
    status=$(dmsetup status "$name")
    echo "$status"
    echo "$status" | grep -qE "^0 20480 dm-remap-v4 v4\.0-real $main $spare [0-9]+ 10 0 0 0 [0-9]+ [0-9]+ demo\$" ||
        fail "the status line: $status"
    message status | grep -q ' demo$' || fail 'the message status'
    same 'the table' "$(demo_table)" "$(dmsetup table "$name")"
    same 'dependencies' 2 "$(dmsetup deps "$name" | grep -o '([0-9]*, [0-9]*)' | wc -l)"
    same 'its disks' 'dmremap-main0 dmremap-spare0 ' "$(find_disks | tr '\n' ' ')"
    dmesg | grep -q "is a demo: /dev/any-main and /dev/any-spare are not opened" || fail 'the log does not say it'
    spare_is_whole
    down
    same 'disks that are left' 0 "$(ram_disks)"
}
check 'the reference transcript, in a demo' reference_transcript

# The devices named are there, and are somebody's.
opens_nothing() {
    target
    loop_pair 20480 20480
    format
    up
    same 'a real one' real "$(status_word "$name" 14)"
    cp spare before
    echo N >"$mode"
    dmsetup create second --table "$(table)"
    same 'the second' demo "$(status_word second 14)"
    # Who is loaded stays what he is.
    same 'the first' real "$(status_word "$name" 14)"
    echo Y >"$mode"
    same 'the second, later' demo "$(status_word second 14)"
    dd if=/bin/dash of=/dev/mapper/second bs=4096 count=4 oflag=direct status=none
    dmsetup remove second
    cmp spare before
    refused 'Operation not permitted' message inject main bad read 0
    refused '' message inject
    dmesg | grep -q 'has real devices' || fail 'the log does not say why'
    down
}
check 'a demo opens none of the devices named, and is decided when the table is loaded' opens_nothing

# Geometry and parameters are what dmremapctl gives a spare of this size.
formatted_alike() {
    a_demo
    dd if="/dev/$(find_disks | grep spare)" of=spare bs=1M iflag=direct status=none
    message stats | grep -E '^slots ' >slots
    down
    main=$(loop other-main 20480)
    spare=$(loop other-spare 20480)
    format
    up
    message stats | grep -E '^slots ' | cmp - slots
    down
    # The geometry with table_ready behind it, and the parameters.
    same_bytes 128 72
    same_bytes 320 32
}
same_bytes() {  # OFFSET COUNT, in the first superblock
    dd if=spare of=one bs=1 skip=$((65536 + $1)) count="$2" status=none
    dd if="$spare" of=two bs=1 skip=$((65536 + $1)) count="$2" status=none
    cmp one two || fail "bytes $1 to $(($1 + $2)) of the superblock are not as dmremapctl writes them"
}
check 'the spare of a demo is laid out as dmremapctl lays it out' formatted_alike

heals() {
    a_demo
    inject main bad write 800+8
    inject main bad all 10000+80 error=ENODATA
    oracle fill "$model" "$disk"
    oracle verify "$model" "$disk"
    same 'active_mappings' 11 "$(number active_mappings)"
    at_least 'errors' "$(number errors)" 11
    # Weak sectors come at the third try, and the block moves with all it holds.
    inject main bad read 4096+3 times=2
    oracle verify "$model" "$disk"
    same 'lost' 0 "$(stat_of lost_sectors)"
    oracle stress "$model" "$disk" 7 2000
    oracle verify "$model" "$disk"
    state_is healthy
    spare_is_whole
}
check 'P1 faults on writes and weak reads are healed' heals

loses() {
    a_demo
    oracle fill "$model" "$disk"
    inject main bad read 800
    oracle lost "$model" 800 1
    refused 'Input/output error' dd if="$disk" of=/dev/null bs=4096 skip=100 count=1 iflag=direct status=none
    oracle verify "$model" "$disk"
    same 'active_mappings' 1 "$(number active_mappings)"
    state_is degraded
    spare_is_whole
    oracle verify "$model" "$disk"
    oracle write "$model" "$disk" 800 1
    oracle verify "$model" "$disk"
    state_is healthy
    # Another one comes back when main gives it back.
    inject main bad read 1601
    refused 'Input/output error' dd if="$disk" of=/dev/null bs=512 skip=1601 count=1 iflag=direct status=none
    message query 1601 | grep -q '^lost 1'
    inject main heal 1601
    message salvage | grep -q '^salvaged_sectors 1$'
    oracle verify "$model" "$disk"
    state_is healthy
}
check 'P1 P5 lost sectors are EIO, until they are written or come back' loses

fills_up() {
    a_demo
    oracle fill "$model" "$disk"
    slots=$(stat_of slots)
    message remap 0 $((slots * 8)) >/dev/null
    same 'active_mappings' "$slots" "$(number active_mappings)"
    oracle verify "$model" "$disk"
    inject main bad write $((slots * 8))+8
    dd if=/dev/zero of="$disk" bs=4096 seek="$slots" count=1 oflag=direct 2>dd.said && fail 'written'
    grep -q 'No space left' dd.said
    message health | grep -q '^causes.* spare_full'
    inject clear
    oracle verify "$model" "$disk"
    message unmap 0 80
    message health | grep -q spare_full && fail 'still full'
    spare_is_whole
}
check 'a full spare is ENOSPC, in a demo as well' fills_up

calls_fail() {
    a_demo
    oracle fill "$model" "$disk"
    # What fails once is good at the second try.
    inject main fail write 1
    oracle write "$model" "$disk" 80 8
    same 'active_mappings' 0 "$(number active_mappings)"
    same 'all is used up' '# no faults' "$(inject)"
    # The spare's slots fail: others are taken.
    inject spare fail write 1+2
    message remap 160 8
    same 'active_mappings' 1 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    # Want of memory says nothing of the medium.
    inject main fail read 1+3 error=ENOMEM
    oracle verify "$model" "$disk" || true
    same 'active_mappings' 1 "$(number active_mappings)"
    inject clear
    oracle verify "$model" "$disk"
    # A flush that failed stays failed until the table is loaded anew.
    inject main fail flush 1
    refused 'Input/output error' dd if=/dev/zero of="$disk" bs=4096 count=1 conv=fsync oflag=direct,seek_bytes seek=0 status=none
    same 'all is used up' '# no faults' "$(inject)"
    state_is read_only
    dmsetup suspend "$name"
    dmsetup resume "$name"
    state_is read_only
    dmsetup suspend "$name"
    reload
    dmsetup resume "$name"
    state_is healthy
    same 'active_mappings' 1 "$(number active_mappings)"
}
reload() {
    echo N >"$mode"
    dmsetup load "$name" --table "$(demo_table "$@")"
    echo Y >"$mode"
}
check 'P2 P6 calls that fail by their number' calls_fail

vanishes() {
    a_demo
    oracle fill "$model" "$disk"
    inject main vanish
    refused 'error' dd if="$disk" of=/dev/null bs=4096 skip=5 count=1 iflag=direct status=none
    same 'active_mappings' 0 "$(number active_mappings)"
    state_is failed
    same 'the fault' 'main vanish after 0' "$(inject)"
    inject main return
    # A call that comes through, and the breaker closes.
    until dd if="$disk" of=/dev/null bs=4096 skip=5 count=1 iflag=direct status=none && state_is healthy; do sleep 0.1; done
    oracle verify "$model" "$disk"
    inject spare vanish
    message remap 800 8 | grep -q 'refused_blocks 1'
    inject spare return
    message remap 800 8 | grep -q 'changed_blocks 1'
    oracle verify "$model" "$disk"
    spare_is_whole
}
check 'P6 a device that vanishes takes nothing with it' vanishes

# Nobody but the scan asks for the spare here.
spare_comes_back() {
    a_demo
    message remap 800 8
    inject spare vanish
    # How far it is cannot be kept, but the order is in force.
    refused '' message scan start
    until_true scan_is waiting
    message health | grep -q '^causes.* spare_gone' || fail "$(message health)"
    inject spare return
    until_true scan_is idle
    same 'passes' 1 "$(stat_of scan_passes)"
    same 'retired_pages' 0 "$(stat_of retired_pages)"
    state_is healthy
    spare_is_whole
}
check 'P6 a scan waits for a spare that is gone, and notices that it is back' spare_comes_back

reloads() {
    a_demo
    inject main bad write 800+8
    oracle fill "$model" "$disk"
    for _ in 1 2 3; do
        reload
        dmsetup suspend "$name"
        dmsetup resume "$name"
        oracle verify "$model" "$disk"
    done
    same 'active_mappings' 1 "$(number active_mappings)"
    same 'its disks' 2 "$(ram_disks)"
    same 'faults stay' 'main bad write 800+8' "$(inject)"
    # A table that is never resumed takes nothing away, and another length is another pair.
    reload
    dmsetup clear "$name"
    oracle verify "$model" "$disk"
    reload 24576
    same 'its disks' 4 "$(ram_disks)"
    dmsetup suspend "$name"
    dmsetup resume "$name"
    same 'its disks' 2 "$(ram_disks)"
    same 'faults of the new pair' '# no faults' "$(inject)"
    dd if="$disk" bs=1M iflag=direct status=none | cmp -n $((24576 * 512)) - /dev/zero
}
check 'a reload of the same length keeps what a demo holds, and its faults' reloads

wrong_sizes() {
    target
    echo N >"$mode"
    for sectors in 8 16383 1048577 20480000000; do
        refused '' dmsetup create "$name" --table "$(demo_table $sectors)"
        dmesg | tail -n 3 | grep -q "the table has $sectors sectors; a demo, .* from 16384 to 1048576" ||
            fail "the log does not say what is wrong with $sectors"
    done
    refused '' dmsetup create "$name" --table "$(demo_table) 1 uuid=00000000-0000-0000-0000-000000000001"
    dmesg | tail -n 3 | grep -q 'real_device_mode' || fail 'the log does not say what to do'
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 /dev/any-main"
    same 'disks that are left' 0 "$(ram_disks)"
    # The ends, and a length that is no multiple of a block.
    for sectors in 16384 20483 1048576; do
        a_demo "$(demo_table $sectors)"
        dd if="$disk" of=last bs=512 skip=$((sectors - 1)) count=1 iflag=direct status=none
        inject main bad write $((sectors - 1))
        dd if=/bin/dash of="$disk" bs=512 seek=$((sectors - 1)) count=1 oflag=direct status=none
        dd if="$disk" of=last bs=512 skip=$((sectors - 1)) count=1 iflag=direct status=none
        cmp -n 512 last /bin/dash
        same 'active_mappings' 1 "$(number active_mappings)"
        down
        echo N >"$mode"
    done
    echo Y >"$mode"
}
check 'P7 P8 a demo has its bounds, and says them' wrong_sizes

# All of these leave the one fault that is in force alone.
bad_lines() {
    a_demo
    inject spare bad read 7 >/dev/null
    said=$(dmesg | grep -c 'inject: found ".*" where .* was expected' || true)
    while read -r line; do
        # shellcheck disable=SC2086
        refused '' message inject $line
        said=$((said + 1))
    done <<LINES
main
both bad read 7
bad
main worse read 7
main bad
main bad reads 7
main bad flush 7
main bad read
main bad read 7+
main bad read 7+0
main bad read +7
main bad read 0x7
main bad read 7+8+9
main bad read 20480
main bad read 20479+2
main bad read 0+20481
main bad read 18446744073709551616
main bad read 1+18446744073709551615
main bad read 7 heals heals7
main bad write 7 heals
main bad read 7 times=0
main bad read 7 times=16777216
main bad read 7 times=1x
main bad read 7 times=
main bad read 7 error=
main bad read 7 error=EAGAIN
main bad read 7 error=eio
main bad read 7 torn=1
main slow read 7 40
main fail
main fail all 1
main fail read
main fail read 0
main fail read 1+0
main fail read 1+2x
main fail read *
main fail read 1 times=2
main fail read 1 heals
main vanish before 1
main vanish after
main vanish after x
main vanish after 1 2
main return 1
main heal
main heal 7 8
main clear all
LINES
    same 'sentences in the log' "$said" "$(dmesg | grep -c 'inject: found ".*" where .* was expected')"
    same 'the faults in force' 'spare bad read 7+1' "$(inject)"
    # Sixteen lines of failing calls, and for both devices or for none.
    inject clear
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do inject spare fail flush 1000 >before; done
    refused '' inject '*' fail read 1000
    inject | cmp - before
    inject clear
    # What is right reads as it was written, the verb before the device as well.
    cat >lines <<LINES
main bad read 0+20480 error=ENODATA times=16777215 heals
main bad write 7+2
main bad write 20479+1 error=EREMOTEIO times=3
main fail any 100+20 error=ETIMEDOUT
main fail read 5+
main vanish after 5190
spare fail flush 40+1
LINES
    while read -r line; do
        # shellcheck disable=SC2086
        message inject $line >/dev/null
    done <lines
    inject >now
    cmp lines now || fail 'the faults read otherwise'
    same 'cleared' '# no faults' "$(inject clear)"
    same 'the verb first' 'spare bad write 9+1' "$(inject bad spare write 9)"
    same 'healed' '# no faults' "$(inject heal '*' '*')"
}
check 'P8 a line of faults is taken as a whole or not at all' bad_lines

# A demo's disks are there for everybody to see, and one may be open while the demo goes.
held_open() {
    a_demo
    oracle fill "$model" "$disk"
    exec 3<"/dev/$(find_disks | grep main)"
    down
    same 'disks that are left' 0 "$(ram_disks)"
    same 'bytes of a disk that is gone' 0 "$({ dd bs=4096 count=1 status=none || true; } <&3 | wc -c)"
    refused '' rmmod dm-remap-v4
    exec 3<&-
    until_true rmmod dm-remap-v4
}
check 'a demo can be removed while somebody has its disk open' held_open

# Used memory in KiB, when what is being freed is free. Parts of the kernel keep some of what they got; and
# each processor keeps free pages for itself (count), since 6.7 up to an eighth of all.
used_memory() {
    local now before=0
    while :; do
        echo 3 >/proc/sys/vm/drop_caches
        sleep 1
        now=$(awk '/^MemTotal/ { t = $2 } /^MemFree/ { f = $2 } $1 == "count:" { f += 4 * $2 } END { print t - f }' \
            /proc/meminfo /proc/zoneinfo)
        [ "$before" != 0 ] && [ "$now" -ge $((before - 64)) ] && break
        before=$now
    done
    echo "$now"
}
vmalloc_used() { awk '/^VmallocUsed/ { print $2 }' /proc/meminfo; }

# Every tenth life takes more than 8 MiB, in what was written, arrays of faults, and remaps; the others see to
# it that the module itself, its disks and its queues go.
a_life() {  # NUMBER
    a_demo "$(demo_table 131072)"
    if [ $(($1 % 10)) = 0 ]; then
        inject '*' bad write 100+8 >/dev/null
        dd if=/dev/zero of="$disk" bs=4M count=2 oflag=direct status=none
        same 'active_mappings' 2 "$(number active_mappings)"
    fi
    down
    rmmod dm-remap-v4
}
comes_and_goes() {
    local before after vmalloc round=0
    while [ $round -lt 10 ]; do a_life $round; round=$((round + 1)); done
    vmalloc=$(vmalloc_used)
    before=$(used_memory)
    while [ $round -lt 110 ]; do a_life $round; round=$((round + 1)); done
    after=$(used_memory)
    echo "used before: $before KiB, after: $after KiB; vmalloc: $vmalloc KiB, $(vmalloc_used) KiB"
    [ "$after" -le $((before + 4096)) ] || fail "after 100 lives $((after - before)) KiB more are used"
    [ "$(vmalloc_used)" -le $((vmalloc + 512)) ] || fail "VmallocUsed grew from $vmalloc to $(vmalloc_used) KiB"
    same 'disks that are left' 0 "$(ram_disks)"
}
check 'a hundred lives of the module leave no memory behind' comes_and_goes
