# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034
# Proves that suspend and resume meet nothing half done (the known mistake 9): a message that is under
# way ends early, a device that is suspended refuses those that need it, and a resume that comes again
# because another target of the table had refused finds the pair as it was. And that nothing is written
# of the disk's own accord while the machine hibernates.

suspended_meanwhile() {
    target
    loop_pair 20480 40960
    format
    up
    message remap 0 16384 >said 2>&1 &
    dmsetup suspend "$name"
    wait $! || true
    dmsetup resume "$name"
    # Whatever was done stands, and the rest can be done now.
    message remap 0 16384 | grep -q 'refused_blocks 0'
    same 'active_mappings' 2048 "$(number active_mappings)"
    down
    spare_is_clean
}
check 'M09 a suspend does not wait for the end of a long message' suspended_meanwhile

suspended_refuses() {
    target
    loop_pair 20480 20480
    format
    up
    dmsetup suspend "$name"
    refused '' message salvage
    refused '' message remap 0
    refused '' message query 0
    dmsetup resume "$name"
    message salvage | grep -q 'salvaged_sectors 0'
}
check 'a suspended device refuses what needs it, and hangs nobody' suspended_refuses

# The first target of the table opens its pair; the second one is refused when it resumes, for its main
# was written while detached.
resumed_again() {
    local other other_spare
    target
    other=$(loop other 20480)
    other_spare=$(loop other_spare 20480)
    dmremapctl format --main "$other" --spare "$other_spare"
    dmsetup create other --table "0 20480 dm-remap-v4 $other $other_spare"
    dmsetup remove other
    dd if=/dev/urandom of="$other" bs=4096 count=1 oflag=direct status=none
    loop_pair 20480 20480
    format
    up
    oracle fill "$model" "$disk"
    message remap 0 80
    down
    dmsetup create "$name" --notable
    printf '0 20480 dm-remap-v4 %s %s\n20480 20480 dm-remap-v4 %s %s\n' \
        "$main" "$spare" "$other" "$other_spare" | dmsetup load "$name"
    refused '' dmsetup resume "$name"
    refused '' dmsetup resume "$name"
    dmsetup remove "$name"
    spare_is_clean
    up
    same 'active_mappings' 10 "$(number active_mappings)"
    oracle verify "$model" "$disk"
}
check 'M09 a pair that is open already is left as it is by another resume' resumed_again

# From the moment the machine prepares for hibernation what the image of its memory does not know may not
# come onto the spare. Whoever reads /dev/snapshot prepares, and ends it when he closes that.
hibernating() {
    local at
    target
    [ -c /dev/snapshot ] || skip 'the kernel does not hibernate'
    back=$(loop main 20480)
    main=$(holed bad "$back")
    spare=$(loop spare 32768)
    format
    up
    oracle fill "$model" "$disk"
    message set scan_speed_max 512
    message scan start
    until_true scanned
    # A block to be tried again, which would be well.
    punch bad "$back" 803 1
    oracle lost "$model" 803 1
    oracle verify "$model" "$disk"
    punch bad "$back"
    exec 9</dev/snapshot
    scan_is waiting
    at=$(cursor)
    refused '' message salvage
    # Users are served, and heal.
    punch bad "$back" 4096 8
    oracle write "$model" "$disk" 4096 8
    oracle verify "$model" "$disk"
    same 'remaps' 2 "$(number active_mappings)"
    same 'where the scan is' "$at" "$(cursor)"
    same 'lost sectors' 1 "$(message stats | sed -n 's/^lost_sectors //p')"
    exec 9<&-
    scan_is running
    message salvage
    same 'lost sectors' 0 "$(message stats | sed -n 's/^lost_sectors //p')"
    until_true scanned "$at"
    down
    spare_is_clean
}
scan_is() { same 'the scan' "$1" "$(message stats | sed -n 's/^scan_state //p')"; }
cursor() { message stats | sed -n 's/^scan_cursor_sector //p'; }
scanned() { [ "$(cursor)" -gt "${1:-0}" ]; }
check 'P2 while the machine hibernates only what users ask for is done' hibernating
