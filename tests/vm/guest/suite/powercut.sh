# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# A life for the host to cut: its virtual disks keep a tape (tests/vm/disks.cpp), parts of main are
# bad and more take no writes later, and notes of what was acknowledged lie on a disk of their own. What
# it proves is said by the host, which cuts the power all along it (tests/vm/cuts.cpp).

a_life() {
    local writer round seed
    target
    main=$(virtual_disk tape-main)
    spare=$(virtual_disk tape-spare)
    notes=$(virtual_disk tape-notes)
    format
    up
    oracle fill "$model" "$disk" "$notes"
    seed=$(sed -n 's/.*dmremap\.seed=\([0-9]*\).*/\1/p' /proc/cmdline)
    oracle stress "$model" "$disk" "$seed" 1200 "$notes" >stress 2>&1 &
    writer=$!
    for round in 1 2 3 4 5 6; do
        message remap "$((round * 1200))" 80
        dmsetup suspend "$name"
        dmsetup load "$name" --table "$(table)"
        dmsetup resume "$name"
        message scan start || true # the last pass may still be under way, and goes on
        message unmap "$((round * 1200))" 40
        dmsetup suspend "$name"
        dmsetup resume "$name"
    done
    wait "$writer" || fail "$(cat stress)"
    oracle verify "$model" "$disk"
    at_least 'active_mappings' "$(number active_mappings)" 12
    down
    spare_is_clean
}
check 'a life over bad sectors, for power cuts' a_life
