# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that of flushes that are under way together none is acknowledged when one fails (P2): a device
# tells of a lost write once, to whichever flush comes first, and the others succeed. The host holds main's
# flush until both are under way (tests/vm/disks.cpp), so no time decides who is first.
#
# A flush that fails with nothing else under way is faults.sh's.

order() { dd if=/dev/zero of="$orders" bs=512 seek="$1" count=1 oflag=direct conv=notrunc status=none; }
hold_next_flush() { order 0; }
fail_held_flush() { order 1; }
# Of writes and flushes the target has sent on and not answered.
under_way() { [ "$(awk '{ print $2 }' "/sys/block/dm-$(numbers_of "$name" minor | tr -d ' ')/inflight")" = "$1" ]; }

held_pair() {
    target
    main=$(virtual_disk flush-main)
    orders=$(virtual_disk flush-orders)
    spare=$(loop spare 32768)
    format --force
    up
    oracle fill "$model" "$disk"
    message remap 800 80
    sync "$disk"
    # QEMU sends no flush to a disk that took no write since the last one.
    oracle write "$model" "$disk" 792 96
}

two_flushes() {
    local one other
    held_pair
    hold_next_flush
    sync "$disk" &
    one=$!
    sync "$disk" &
    other=$!
    until_true under_way 2
    fail_held_flush
    ! wait "$one" || fail 'the first flush is acknowledged'
    ! wait "$other" || fail 'the second flush is acknowledged'
    message health >said
    grep -q '^state read_only$' said || fail "$(cat said)"
    grep -q '^causes.* flush_failed' said || fail "$(cat said)"
    refused '' sync "$disk"
    refused '' dd if=/dev/zero of="$disk" bs=4096 count=1 oflag=direct conv=notrunc status=none
    oracle verify "$model" "$disk"
    down
    up
    sync "$disk"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P2 of two flushes under way none is acknowledged when one fails' two_flushes
