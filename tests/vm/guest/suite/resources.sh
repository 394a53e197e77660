# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that want of room under the spare is no fault of the spare's medium (P6, mistake 20): no page
# of the table is retired, no slot called bad, no block fenced for it, and all goes on when there is
# room again. Want of memory takes the same way.
#
# The spare is a file on an ext4 that is full. A page of it that was punched out takes no write then:
# ENOSPC, which a loop device with direct I/O passes on.
modules crc32c_generic ext4

# A spare that has all its blocks, and a disk with one remap on it.
full_spare() {
    have blkdiscard
    have mkfs.ext4
    target
    host=$(loop host 81920)
    mkfs.ext4 -q -m 0 "$host"
    mkdir -p room
    mount "$host" room
    main=$(loop main 20480)
    dd if=/dev/zero of=room/spare bs=1M count=16 oflag=direct status=none
    sync
    spare=$(losetup --show --direct-io=on -f room/spare)
    format
    up
    oracle fill "$model" "$disk"
    message remap 800 8
}

# Takes the page at a byte of the spare out, and all the room there is.
punched() {
    local filler
    blkdiscard -f -o "$1" -l 4096 "$spare"
    for filler in 1 2 3; do
        sync
        dd if=/dev/zero of="room/filler$filler" bs=4096 oflag=direct status=none 2>/dev/null || true
    done
}


second_copy_waits() {
    full_spare
    second=$(second_page)
    punched "$second"
    # The first copy takes it, so it is durable, and the second copy is owed.
    message remap 1600 8
    same 'active_mappings' 2 "$(number active_mappings)"
    # Nothing is committed before that is paid; the block stays on main.
    message remap 2400 8 >said
    cat said
    grep -q 'refused_blocks 1' said
    same 'active_mappings' 2 "$(number active_mappings)"
    same 'retired pages' 0 "$(stat_of retired_pages)"
    same 'bad slots' 0 "$(stat_of slots_bad)"
    oracle verify "$model" "$disk"
    rm room/filler*
    message remap 2400 8
    same 'active_mappings' 3 "$(number active_mappings)"
    same 'retired pages' 0 "$(stat_of retired_pages)"
    oracle write "$model" "$disk" 1592 40
    oracle verify "$model" "$disk"
    down
    spare_is_clean
    up
    same 'active_mappings' 3 "$(number active_mappings)"
    oracle verify "$model" "$disk"
}
# Where the second table begins: what is there is what the first one begins with.
second_page() {
    local page=$((16777216 / 4096 - 256))
    dd if=room/spare of=first-page bs=4096 skip=256 count=1 iflag=direct status=none
    while [ "$page" -gt 257 ]; do
        page=$((page - 1))
        if dd if=room/spare bs=4096 skip="$page" count=1 iflag=direct status=none | cmp -s - first-page; then
            echo "$((page * 4096))"
            return
        fi
    done
    fail 'the second table is not found'
}
check 'P6 want of room under a page of the table retires nothing' second_copy_waits

unmap_pays() {
    full_spare
    second=$(second_page)
    punched "$second"
    message remap 1600 8
    # What the page is owed is what stands in the way, and that there is no room for it.
    message unmap 800 8 >said
    cat said
    grep -q 'refused_blocks 1' said
    grep -q 'no room under it' said
    same 'active_mappings' 2 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    rm room/filler*
    message unmap 800 8 >said
    cat said
    grep -q 'changed_blocks 1' said
    same 'active_mappings' 1 "$(number active_mappings)"
    same 'retired pages' 0 "$(stat_of retired_pages)"
    oracle write "$model" "$disk" 792 40
    oracle verify "$model" "$disk"
    down
    spare_is_clean
    up
    same 'active_mappings' 1 "$(number active_mappings)"
    oracle verify "$model" "$disk"
}
check 'an unmap pays what a page is owed, and says what it lacks for it' unmap_pays
