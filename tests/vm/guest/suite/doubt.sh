# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The words of pair.sh and lib.sh are set there.
# shellcheck disable=SC2154,SC2034,SC2094
# Proves that nothing that was acknowledged rests on one copy of an entry beside an older valid version
# in the other one (P1, P4): what a power cut tore is mended when the pair is opened, a change whose
# second copy takes no write goes to another page, and where neither can be one copy has to do, and the
# disk is degraded.
# Of a torn write it is the shape that is made here, by hand; suite powercut makes real ones.
modules dm-delay

moved() { [ "$(stat_of moves)" = "$1" ]; }

# What a power cut leaves, and then the first copy of the table's first page cannot be read any more.
cut_and_lose_first() {
    sync "$disk"
    dd if="$spare_back" of=left bs=1M iflag=direct status=none
    down
    dd if=left of="$spare_back" bs=1M oflag=direct conv=notrunc status=none
    dd if=/dev/zero of="$spare_back" bs=4096 seek=$((first / 4096)) count=1 oflag=direct conv=notrunc status=none
}

# So many blocks are remapped all the same, the spare takes writes again, and all is as it was written.
kept_without_first() {  # COUNT
    cut_and_lose_first
    punch worn "$spare_back"
    up
    same 'active_mappings, later' "$1" "$(number active_mappings)"
    same 'retired_pages, later' 0 "$(stat_of retired_pages)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}

# An unmap was cut: the first copy has the new sector and garbled ones, the second is all old.
torn_page_is_mended() {
    worn_disk
    message remap 800 80
    spare_page "$second" old
    message unmap 840 8
    spare_page "$first" new
    down
    dd if=/dev/urandom of=torn bs=4096 count=1 status=none
    dd if=new of=torn bs=512 count=1 conv=notrunc status=none
    put_spare_page "$first" torn
    put_spare_page "$second" old
    up
    same 'active_mappings' 9 "$(number active_mappings)"
    same 'retired_pages' 0 "$(stat_of retired_pages)"
    for at in "$first" "$second"; do
        spare_page "$at" found
        cmp found new || fail "the copy at $at is not mended"
    done
    oracle write "$model" "$disk" 800 80
    cut_and_lose_first
    up
    same 'active_mappings, later' 9 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P4 a page that a torn write left mixed is whole again after opening' torn_page_is_mended

# Both copies of a sector lack something: neither is written.
hopeless_piece_stays() {
    worn_disk
    message remap 800 136
    down
    spare_page "$first" whole
    # Two entries of sector 0, one in each copy; sector 1 only in the first.
    cp whole one
    cp whole two
    dd if=/dev/zero of=one bs=32 seek=2 count=1 conv=notrunc status=none
    dd if=/dev/zero of=one bs=512 seek=1 count=1 conv=notrunc status=none
    dd if=/dev/zero of=two bs=32 seek=5 count=1 conv=notrunc status=none
    put_spare_page "$first" one
    put_spare_page "$second" two
    up
    oracle verify "$model" "$disk"
    until_true moved 17
    spare_page "$first" found
    cmp -n 512 found one || fail 'a sector that has no whole copy was written'
    dd if=found bs=512 skip=1 count=7 status=none >found-rest
    dd if=whole bs=512 skip=1 count=7 status=none >whole-rest
    cmp found-rest whole-rest || fail 'the sectors that have one were not mended'
    spare_page "$second" found
    cmp found two || fail 'the second copy was written'
    same 'retired_pages' 1 "$(stat_of retired_pages)"
    oracle stress "$model" "$disk" 7 200
    oracle verify "$model" "$disk"
    down
}
check 'P4 pieces of a page of which no copy is whole are left alone' hopeless_piece_stays

# Two bad sectors of a page, one in each copy: every entry has a good copy.
page_of_two_halves() {
    worn_disk
    message remap 800 136
    down
    punch worn "$spare_back" $((first / 512)) 1 $((second / 512 + 1)) 1
    up
    same 'active_mappings' 17 "$(number active_mappings)"
    same 'retired_pages' 1 "$(stat_of retired_pages)"
    until_true moved 17
    oracle verify "$model" "$disk"
    down
    punch worn "$spare_back"
    up
    same 'retired_pages, later' 0 "$(stat_of retired_pages)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P4 a bad sector costs a copy of its entries, and not of the page' page_of_two_halves

# The second copy of an unmapped block's page holds its old claim, and takes no write.
block_in_doubt() {
    worn_disk
    message remap 800 80
    spare_page "$second" old
    message unmap 840 8
    oracle write "$model" "$disk" 840 8
    down
    put_spare_page "$second" old
    takes_no_write "$second"
}
doubt_is_settled() {
    block_in_doubt
    said=$(dmesg | wc -l)
    up
    dmesg | tail -n +"$((said + 1))" | grep -q "remap-v4: .*: blocks were moved off older versions of their mapping" ||
        fail "the log does not say it: $(dmesg | tail -n +"$((said + 1))")"
    same 'active_mappings' 10 "$(number active_mappings)"
    same 'causes' 'causes retired_pages' "$(message health | grep causes)"
    oracle verify "$model" "$disk"
    spare_page "$second" found
    cmp found old || fail 'the second copy was written'
    kept_without_first 10
}
check 'P4 a block that an old claim would bring back is mapped anew when the pair is opened' doubt_is_settled

# Its second copy gets no room, not when the pair is opened either: that is said.
doubt_without_room() {
    a_demo
    oracle fill "$model" "$disk"
    message remap 1600 8
    # The second table of a demo of 20480 sectors.
    message inject spare bad write 18304+8 error=ENOSPC
    message remap 800 8
    refused '' sync "$disk"
    dmsetup suspend "$name"
    dmsetup resume "$name"
    message health | grep -q metadata_in_doubt || fail "$(message health)"
    oracle verify "$model" "$disk"
    message inject spare clear
    until_true sync "$disk"
    dmsetup suspend "$name"
    dmsetup resume "$name"
    same 'causes, later' 'causes none' "$(message health | grep causes)"
    same 'active_mappings' 2 "$(number active_mappings)"
    oracle verify "$model" "$disk"
}
check 'P2 P4 a block in doubt that finds no room is said' doubt_without_room

# Reading takes nothing from it, and settles nothing.
doubt_is_read() {
    block_in_doubt
    dmsetup create --readonly "$name" --table "$(table)"
    same 'active_mappings' 9 "$(number active_mappings)"
    oracle verify "$model" "$disk"
    down
    punch worn "$spare_back"
    up
    same 'retired_pages' 0 "$(stat_of retired_pages)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P1 beside an old claim a disk is read as it is' doubt_is_read

# The second copy of the first page takes no write: what was written must not rest on the first.
second_copy_fails() {
    worn_disk
    takes_no_write "$second"
    punch bad "$back" 800 8
    oracle write "$model" "$disk" 800 8
    same 'retired_pages' 1 "$(stat_of retired_pages)"
    same 'active_mappings' 1 "$(number active_mappings)"
    # It was acknowledged where it stands in two copies, and did not go there afterwards.
    same 'moves' 0 "$(stat_of moves)"
    oracle verify "$model" "$disk"
    kept_without_first 1
}
check 'P1 a write whose entry takes no second copy is acknowledged from another page' second_copy_fails

# The same where marks are cleared: the block moves with what was written.
marks_move() {
    worn_disk
    punch bad "$back" 800 8
    oracle lost "$model" 800 8
    oracle verify "$model" "$disk"
    same 'lost_sectors' 8 "$(stat_of lost_sectors)"
    takes_no_write "$second"
    oracle write "$model" "$disk" 800 4
    same 'retired_pages' 1 "$(stat_of retired_pages)"
    same 'lost_sectors' 4 "$(stat_of lost_sectors)"
    same 'active_mappings' 1 "$(number active_mappings)"
    same 'moves' 1 "$(stat_of moves)"
    oracle verify "$model" "$disk"
    kept_without_first 1
}
check 'P1 marks that are cleared on a page that takes no second copy move with their block' marks_move

# No page takes a second copy. One copy has to do then, and the disk says so.
all_of_second() {
    local page=0
    while [ $page -lt 28 ]; do
        echo $((second + page * 4096))
        page=$((page + 1))
    done
}
one_copy_has_to_do() {
    worn_disk
    message remap 1600 8
    # shellcheck disable=SC2046
    takes_no_write $(all_of_second)
    punch bad "$back" 800 8
    oracle write "$model" "$disk" 800 8
    same 'causes' 'causes retired_pages metadata_in_doubt' "$(message health | grep causes)"
    same 'retired_pages' 4 "$(stat_of retired_pages)"
    sync "$disk"
    # Others try one page.
    punch bad "$back" 800 8 2400 8
    oracle write "$model" "$disk" 2400 8
    same 'retired_pages' 5 "$(stat_of retired_pages)"
    sync "$disk"
    oracle verify "$model" "$disk"
    same 'active_mappings' 3 "$(number active_mappings)"
    # When the spare takes writes again they move with the next salvage.
    punch worn "$spare_back"
    message salvage
    until_true moved 3
    same 'causes' 'causes retired_pages' "$(message health | grep causes)"
    # Opening finds one in doubt and no page for it, and is none the worse for it.
    # shellcheck disable=SC2046
    takes_no_write $(all_of_second)
    punch bad "$back" 800 8 2400 8 3200 8
    oracle write "$model" "$disk" 3200 8
    down
    up
    same 'state' 'state degraded' "$(message health | grep state)"
    message health | grep -q metadata_in_doubt || fail "$(message health)"
    oracle verify "$model" "$disk"
    down
    punch worn "$spare_back"
    up
    same 'causes, later' 'causes none' "$(message health | grep causes)"
    oracle verify "$model" "$disk"
    down
    spare_is_clean
}
check 'P4 a table that takes no write costs nothing, and is said' one_copy_has_to_do
