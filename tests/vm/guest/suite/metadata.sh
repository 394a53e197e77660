# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that remaps outlive everything that is not damage: remove and create, suspend, resume, reload
# (mistakes 3 and 9), and that daemon and target read each other's spares. dmremapctl check, the
# daemon's reader, judges every spare that the target leaves.
# Proves nothing about power cuts.
modules fuse

# The disk is filled, these blocks are moved by hand and written anew, in the slots.
remapped_disk() {
    target
    loop_pair 20480 20480
    format
    up
    oracle fill "$model" "$disk"
    message remap 0
    message remap 800 80
    message remap 20472 8
    same 'active_mappings' 12 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    oracle write "$model" "$disk" 796 40
    oracle write "$model" "$disk" 20470 10
}

remaps_persist() {
    local round
    remapped_disk
    for round in 1 2 3; do
        down
        spare_is_clean
        up
        same 'active_mappings' 12 "$(number active_mappings)"
        same 'remaps since load' 0 "$(number remaps)"
        oracle verify "$model" "$disk"
        oracle write "$model" "$disk" 800 "$((round * 8))"
    done
    # The data of a moved block is not on main: the slots are really used.
    down
    refused 'sector' oracle verify "$model" "$main"
}
check 'remaps persist over remove and create' remaps_persist

remaps_survive_suspend() {
    local round
    remapped_disk
    for round in 1 2 3 4 5; do
        dmsetup suspend "$name"
        dmsetup resume "$name"
        dmsetup suspend --noflush "$name"
        dmsetup load "$name" --table "$(table)"
        dmsetup resume "$name"
        message remap "$((4000 + round * 8))"
        same 'active_mappings' "$((12 + round))" "$(number active_mappings)"
        oracle verify "$model" "$disk"
    done
    down
    spare_is_clean
}
check 'remaps survive suspend, resume and a table reload' remaps_survive_suspend

reload_under_load() {
    local writer round
    remapped_disk
    oracle stress "$model" "$disk" 2 4000 >stress 2>&1 &
    writer=$!
    for round in 1 2 3 4 5 6 7 8 9 10; do
        dmsetup suspend "$name"
        dmsetup load "$name" --table "$(table)"
        dmsetup resume "$name"
        message remap "$((8000 + round * 8))"
    done
    wait "$writer" || fail "$(cat stress)"
    oracle verify "$model" "$disk"
    same 'active_mappings' 22 "$(number active_mappings)"
    down
    spare_is_clean
}
check 'reloads under load lose nothing' reload_under_load

unmap_brings_home() {
    remapped_disk
    message unmap 800 80
    same 'active_mappings' 2 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    down
    up
    same 'active_mappings' 2 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'unmapped blocks are on main again, with their newest data' unmap_brings_home

# Virtio disks have serials, so nothing is in doubt.
daemon_and_target_take_turns() {
    have dmremapfs
    [ -b /dev/vda ] || skip 'there are no virtio disks'
    target
    main=/dev/vda
    spare=/dev/vdb
    format --force
    mount_daemon
    oracle fill "$model" /mnt/daemon/disk.img
    dmremapctl remap /mnt/daemon 800 80
    oracle write "$model" /mnt/daemon/disk.img 796 40
    unmount_daemon

    up
    same 'active_mappings' 10 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    message remap 0 16
    message unmap 800 8
    oracle write "$model" "$disk" 0 16
    down
    spare_is_clean

    mount_daemon
    oracle verify "$model" /mnt/daemon/disk.img
    same "the daemon's active_mappings" 11 "$(cut -d ' ' -f 11 /mnt/daemon/control/status)"
    unmount_daemon
    spare_is_clean
}
check 'daemon and target take turns on one spare' daemon_and_target_take_turns

# The first copies of superblock and table are gone: the others win, and are copied back.
one_bad_copy() {
    remapped_disk
    down
    # Copy 0 of the superblock, and the first page of the first table.
    dd if=/dev/urandom of="$spare" bs=4096 seek=16 count=1 oflag=direct conv=notrunc status=none
    dd if=/dev/zero of="$spare" bs=4096 seek=256 count=1 oflag=direct conv=notrunc status=none
    up
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P4 one bad copy costs nothing and is repaired' one_bad_copy

# Both copies of a page: which blocks lived there nobody knows.
no_good_copy() {
    local second page
    remapped_disk
    down
    dmremapctl examine "$spare" >examined || true
    cp "$work/spare" saved
    # The second table is the last thing before the last MiB; every page from its beginning on that is
    # like the first table's first one.
    dd if="$work/spare" of=first-page bs=4096 skip=256 count=1 status=none
    second=
    page=$((20480 / 8 - 256))
    while [ "$page" -gt 300 ] && [ -z "$second" ]; do
        page=$((page - 1))
        dd if="$work/spare" of=page bs=4096 skip="$page" count=1 status=none
        if cmp -s -n 8 page first-page && [ "$(dd if=page bs=1 skip=24 count=1 status=none | od -An -tu1 | tr -d ' ')" = 1 ]; then
            second=$page
        fi
    done
    [ -n "$second" ] || fail 'the second table is not found'
    dd if=/dev/zero of="$spare" bs=4096 seek=256 count=1 oflag=direct conv=notrunc status=none
    dd if=/dev/zero of="$spare" bs=4096 seek="$second" count=1 oflag=direct conv=notrunc status=none
    refused '' up
    refused '' dmremapctl check "$spare"
}
check 'P4 a page without any good copy keeps the disk from coming up' no_good_copy
