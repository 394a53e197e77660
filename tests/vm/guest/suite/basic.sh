# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves what a user sees of a healthy pair: the reference transcript, the status line and its
# numbers, the table, dependencies, messages, and that what must be refused is refused (P7, P8).
# Proves nothing about errors; that is target.sh.

# Two loop devices of 10 MiB, ten blocks written and read, the status line word for word.
reference_transcript() {
    local status
    target
    loop_pair 20480 20480
    format
    dmsetup create test-remap --table "0 20480 dm-remap-v4 $main $spare"
    dd if=/dev/urandom of=pattern bs=4096 count=10 status=none
    dd if=pattern of="$disk" bs=4096 count=10 oflag=direct status=none
    dd if="$disk" of=back bs=4096 count=10 iflag=direct status=none
    cmp pattern back
    status=$(dmsetup status test-remap)
    echo "$status"
    echo "$status" | grep -qE "^0 20480 dm-remap-v4 v4\.0-real $main $spare [0-9]+ 10 0 0 0 [0-9]+ [0-9]+ real\$" ||
        fail "the status line: $status"
    at_least 'reads' "$(number reads)" 10
    same 'io_ops is reads and writes' "$(($(number reads) + $(number writes)))" "$(number io_ops)"
    at_least 'total_time_ns' "$(number total_time_ns)" 1
    down
    # Without a remap main holds it all.
    dd if="$main" of=back bs=4096 count=10 iflag=direct status=none
    cmp pattern back
    spare_is_clean
}
check 'the reference transcript' reference_transcript

table_round_trip() {
    target
    loop_pair 20480 20480
    format
    up
    dmsetup table "$name" >first
    grep -q "^0 20480 dm-remap-v4 $main $spare" first || fail "the table: $(cat first)"
    dmsetup suspend "$name"
    dmsetup load "$name" <first
    dmsetup resume "$name"
    dmsetup table "$name" >second
    cmp first second
    same 'dependencies' 2 "$(dmsetup deps "$name" | grep -o '([0-9]*, [0-9]*)' | wc -l)"
}
check 'the table loads again as it is printed; dependencies are both' table_round_trip

whole_disk_holds_data() {
    target
    loop_pair 20480 20480
    format
    up
    oracle fill "$model" "$disk"
    oracle stress "$model" "$disk" 1 2000
    oracle verify "$model" "$disk"
    down
    up
    oracle verify "$model" "$disk"
    same 'errors' 0 "$(number errors)"
}
check 'P1 a healthy disk holds what was written, also when it comes again' whole_disk_holds_data

refuses_unformatted() {
    target
    loop_pair 20480 20480
    refused '' up
    dmesg | tail -n 5 | grep -i 'remap' || fail 'the log says nothing'
    cmp -n 10485760 "$work/spare" /dev/zero
}
check 'P7 refuses a spare that was never formatted, and does not format it' refuses_unformatted

refuses_wrong_sizes() {
    target
    loop_pair 20480 20480
    format
    other=$(loop other 20488)
    refused '' dmsetup create "$name" --table "0 20488 dm-remap-v4 $other $spare"
    refused '' dmsetup create "$name" --table "0 20472 dm-remap-v4 $main $spare"
    up
}
check 'P7 refuses a main of another size, and a table of another length' refuses_wrong_sizes

refuses_bad_tables() {
    target
    loop_pair 20480 20480
    format
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4"
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 $main"
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 $main $main"
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 $spare $main"
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 $main /dev/nowhere"
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 $main $spare 1 no_such_feature"
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 $main $spare 9"
    refused '' dmsetup create "$name" --table "0 20480 dm-remap-v4 $main $spare 2 uuid 00000000-0000-0000-0000-000000000000"
    up
}
check 'P8 refuses missing, swapped, equal and unknown arguments, and a wrong UUID' refuses_bad_tables

refuses_in_use() {
    target
    loop_pair 20480 20480
    format
    up
    refused '' dmsetup create second --table "$(table)"
    # The disk is none the worse.
    dd if=/dev/zero of="$disk" bs=4096 count=1 oflag=direct status=none
    refused '' dmremapctl format --main "$main" --spare "$spare" --force
}
check 'P7 refuses a pair that is in use' refuses_in_use

messages_answer() {
    target
    loop_pair 20480 20480
    format
    up
    message help | grep -q 'remap SECTOR'
    message status | grep -q 'v4.0-real'
    message stats >/dev/null
    message health >/dev/null
    message query 0 | grep -qi 'main'
    refused '' message
    refused '' message no_such_message
    refused '' message remap
    refused '' message remap -1
    refused '' message remap 20480
    refused '' message remap 18446744073709551615
    refused '' message set no_such_parameter 1
    message clear_stats
    same 'reads after clear_stats' 0 "$(number reads)"
}
check 'P8 messages answer, and bad ones are refused' messages_answer

load_and_unload() {
    local round
    target
    loop_pair 20480 20480
    format
    for round in 1 2 3 4 5; do
        up
        refused '' rmmod dm-remap-v4
        down
        rmmod dm-remap-v4
        target
    done
}
check 'the module unloads when nobody uses it, and only then' load_and_unload

module_parameters() {
    target
    same dm_remap_debug 0 "$(cat /sys/module/dm_remap_v4/parameters/dm_remap_debug)"
    refused '' sh -c 'echo 4 >/sys/module/dm_remap_v4/parameters/dm_remap_debug'
    echo 3 >/sys/module/dm_remap_v4/parameters/dm_remap_debug
    echo 0 >/sys/module/dm_remap_v4/parameters/dm_remap_debug
}
check "the module's parameter is there, and checked" module_parameters
