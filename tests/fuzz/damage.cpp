// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/damage.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

namespace dmremap::fuzz {

namespace {

constexpr std::uint64_t kPagesInReach = 3;  // of a table, of which the first exists

struct Field {
    std::size_t offset, size;
};

// The numbers of a superblock, by which it lies best.
#define DMREMAP_FIELD(name) \
    Field { offsetof(dmr_superblock, name), sizeof(dmr_superblock::name) }
constexpr std::array kFields = {
    DMREMAP_FIELD(version),      DMREMAP_FIELD(compat),
    DMREMAP_FIELD(ro_compat),    DMREMAP_FIELD(incompat),
    DMREMAP_FIELD(sequence),     DMREMAP_FIELD(main_size),
    DMREMAP_FIELD(spare_size),   DMREMAP_FIELD(slots),
    DMREMAP_FIELD(first_table),  DMREMAP_FIELD(slot_area),
    DMREMAP_FIELD(second_table), DMREMAP_FIELD(page_size),
    DMREMAP_FIELD(table_ready),  DMREMAP_FIELD(live_remaps),
    DMREMAP_FIELD(flags),        DMREMAP_FIELD(entry_epoch),
    DMREMAP_FIELD(holder_pid),   DMREMAP_FIELD(holder_start),
    DMREMAP_FIELD(read_retries), DMREMAP_FIELD(remap_on_read_error),
    DMREMAP_FIELD(scan_cursor),  DMREMAP_FIELD(main_logical_block),
    DMREMAP_FIELD(scan_found),   DMREMAP_FIELD(spare_logical_block),
    DMREMAP_FIELD(uuid),         DMREMAP_FIELD(lost_retry_minutes),
    DMREMAP_FIELD(holder_boot),  DMREMAP_FIELD(breaker_regions),
    DMREMAP_FIELD(main_digest),  DMREMAP_FIELD(main_text),
    DMREMAP_FIELD(spare_digest), DMREMAP_FIELD(spare_text),
    DMREMAP_FIELD(label),        DMREMAP_FIELD(witness),
    DMREMAP_FIELD(holder_name),  DMREMAP_FIELD(holder_machine),
};
#undef DMREMAP_FIELD

std::uint64_t per_page(const dmr_superblock& geometry) {
    return dmr_le32(geometry.page_size) / DMR_ENTRY_SIZE;
}

std::uint64_t entry_at(const dmr_superblock& geometry, int copy, std::uint64_t slot) {
    return dmr_page_offset(&geometry, copy, slot / per_page(geometry)) +
           slot % per_page(geometry) * DMR_ENTRY_SIZE;
}

std::uint64_t any_slot(Input& input, const dmr_superblock& geometry) {
    const std::uint64_t reach = kPagesInReach * per_page(geometry);
    // Half of them where the remaps are.
    return input.flag() ? input.byte() % 32 : input.number(2) % reach;
}

dmr_entry entry_of(const SparseImage& spare, const dmr_superblock& geometry, int copy,
                   std::uint64_t slot) {
    dmr_entry entry;
    spare.peek(entry_at(geometry, copy, slot), &entry, sizeof(entry));
    return entry;
}

// An entry that may well be valid, in either copy or in both.
void write_entry(Input& input, SparseImage& spare, const dmr_superblock& geometry) {
    const std::uint8_t how = input.byte();
    const std::uint64_t slot = any_slot(input, geometry);
    dmr_entry entry = entry_of(spare, geometry, how & 1, slot);
    if ((how & 2) != 0)
        entry.main_block = dmr_to_le64((how & 4) != 0 ? input.value() : input.byte());
    if ((how & 8) != 0)
        entry.sequence = dmr_to_le64((how & 4) != 0 ? input.value() : input.number(1) << 30);
    if ((how & 16) != 0) {
        entry.state = input.byte() % 4;
        entry.lost = input.byte();
        entry.retry = input.byte() & ((how & 4) != 0 ? 0xff : entry.lost);
        entry.reason = input.byte() % 8;
    }
    if (entry.state != DMR_REMAPPED && (how & 4) == 0) {
        entry.main_block = dmr_to_le64(DMR_NO_BLOCK);
        entry.lost = entry.retry = entry.reason = 0;
    }
    if ((how & 32) == 0) put_entry(spare, geometry, how & 1, slot, entry);
    if ((how & 64) == 0) put_entry(spare, geometry, ~how & 1, slot, entry);
}

void copy_entry(Input& input, SparseImage& spare, const dmr_superblock& geometry) {
    const std::uint8_t how = input.byte();
    const dmr_entry entry = entry_of(spare, geometry, how & 1, any_slot(input, geometry));
    const std::uint64_t to = any_slot(input, geometry);
    if ((how & 4) != 0)
        put_entry(spare, geometry, (how >> 1) & 1, to, entry);
    else
        spare.poke(entry_at(geometry, (how >> 1) & 1, to), &entry, sizeof(entry));
}

void garble_entry(Input& input, SparseImage& spare, const dmr_superblock& geometry) {
    const std::uint64_t at = entry_at(geometry, input.byte() & 1, any_slot(input, geometry)) +
                             input.byte() % DMR_ENTRY_SIZE;
    const std::string bytes = input.text(1 + input.byte() % 8);
    spare.poke(at, bytes.data(), bytes.size());
}

// A page elsewhere, or an older version of itself as the other copy has it.
void copy_page(Input& input, SparseImage& spare, const dmr_superblock& geometry) {
    const std::uint8_t how = input.byte();
    const std::uint64_t from = input.byte() % kPagesInReach, to = input.byte() % kPagesInReach;
    std::vector<std::byte> page(dmr_le32(geometry.page_size));
    if ((how & 4) == 0)
        spare.peek(dmr_page_offset(&geometry, how & 1, from), page.data(), page.size());
    spare.poke(dmr_page_offset(&geometry, (how >> 1) & 1, to), page.data(), page.size());
}

void break_table_sectors(Input& input, SparseImage& spare, const dmr_superblock& geometry) {
    const std::uint64_t at = entry_at(geometry, input.byte() & 1, any_slot(input, geometry));
    spare.make_unreadable(at / DMR_SECTOR_SIZE, 1 + input.byte() % 16);
}

dmr_superblock superblock_at(const SparseImage& spare, unsigned copy) {
    dmr_superblock sb;
    spare.peek(dmr_copy_offsets[copy], &sb, sizeof(sb));
    return sb;
}

// `which` has a bit for each copy; none means all.
template <typename Edit>
void edit_copies(SparseImage& spare, std::uint8_t which, bool reseal, Edit&& edit) {
    for (unsigned copy = 0; copy < dmr_copies(spare.info().size); copy++) {
        if ((which & 7) != 0 && (which >> copy & 1) == 0) continue;
        dmr_superblock sb = superblock_at(spare, copy);
        edit(sb);
        if (reseal)
            put_superblock(spare, copy, sb);
        else
            spare.poke(dmr_copy_offsets[copy], &sb, sizeof(sb));
    }
}

void edit_field(Input& input, SparseImage& spare) {
    const std::uint8_t which = input.byte();
    const Field field = kFields[input.byte() % kFields.size()];
    const std::uint64_t value = input.value();
    const std::uint64_t at = field.size <= 8 ? 0 : input.below(field.size - 7);
    edit_copies(spare, which, (which & 128) == 0, [&](dmr_superblock& sb) {
        auto* const bytes = reinterpret_cast<std::uint8_t*>(&sb) + field.offset + at;
        std::uint64_t number = 0;
        std::memcpy(&number, bytes, std::min<std::size_t>(field.size, 8));
        // Beside what was there, or in its place.
        number = dmr_to_le64((which & 64) != 0 ? dmr_le64(number) + value : value);
        std::memcpy(bytes, &number, std::min<std::size_t>(field.size, 8));
    });
}

void edit_bytes(Input& input, SparseImage& spare) {
    const std::uint8_t which = input.byte();
    const std::uint64_t at = input.below(sizeof(dmr_superblock));
    const std::string bytes = input.text(1 + input.byte() % 16);
    edit_copies(spare, which, (which & 128) == 0, [&](dmr_superblock& sb) {
        std::memcpy(reinterpret_cast<std::uint8_t*>(&sb) + at, bytes.data(),
                    std::min<std::size_t>(bytes.size(), sizeof(sb) - at));
    });
}

void copy_superblock(Input& input, SparseImage& spare) {
    const unsigned copies = dmr_copies(spare.info().size);
    if (copies == 0) return;
    dmr_superblock sb = superblock_at(spare, input.byte() % copies);
    const unsigned to = input.byte() % copies;
    sb.sequence = dmr_to_le64(dmr_le64(sb.sequence) +
                              static_cast<std::uint64_t>(static_cast<std::int8_t>(input.byte())));
    put_superblock(spare, to, sb);
}

void garble_anywhere(Input& input, SparseImage& spare) {
    const std::uint64_t sectors = spare.info().size / DMR_SECTOR_SIZE;
    const std::vector<std::byte> bytes((1 + input.byte() % 64) * DMR_SECTOR_SIZE,
                                       std::byte{input.byte()});
    const std::uint64_t at = input.below(std::max<std::uint64_t>(sectors, 128) - 64);
    spare.poke(at * DMR_SECTOR_SIZE, bytes.data(), bytes.size());
}

void break_sectors(Input& input, SparseImage& spare) {
    const std::uint8_t what = input.byte();
    const std::uint64_t sectors = spare.info().size / DMR_SECTOR_SIZE;
    const std::uint64_t at = what < 128 ? dmr_copy_offsets[what % 3] / DMR_SECTOR_SIZE + what / 16
                                        : input.below(std::max<std::uint64_t>(sectors, 1));
    spare.make_unreadable(at, 1 + input.byte() % 8);
}

void resize(Input& input, SparseImage& spare) {
    constexpr std::uint64_t kMost = 256ull << 20;
    const std::uint64_t block = spare.info().logical_block;
    const std::uint64_t size = input.value() % kMost;
    spare.set_size(std::max(size / block, std::uint64_t{1}) * block);
}

}  // namespace

void put_superblock(SparseImage& spare, unsigned copy, dmr_superblock sb) {
    sb.crc = dmr_to_le32(dmr_superblock_crc(&sb, dmr_copy_offsets[copy]));
    spare.poke(dmr_copy_offsets[copy], &sb, sizeof(sb));
}

void put_entry(SparseImage& spare, const dmr_superblock& geometry, int copy, std::uint64_t slot,
               dmr_entry entry) {
    entry.crc = dmr_to_le32(dmr_entry_crc(&entry, geometry.uuid, slot));
    spare.poke(entry_at(geometry, copy, slot), &entry, sizeof(entry));
}

void damage_table(Input& input, SparseImage& spare, const dmr_superblock& geometry) {
    switch (input.byte() % 7) {
        case 0:
        case 1:
        case 2:
            return write_entry(input, spare, geometry);
        case 3:
            return copy_entry(input, spare, geometry);
        case 4:
            return garble_entry(input, spare, geometry);
        case 5:
            return copy_page(input, spare, geometry);
        default:
            return break_table_sectors(input, spare, geometry);
    }
}

void damage_spare(Input& input, SparseImage& spare, const dmr_superblock& geometry) {
    switch (input.byte() % 12) {
        case 0:
        case 1:
            return edit_field(input, spare);
        case 2:
            return edit_bytes(input, spare);
        case 3:
            return copy_superblock(input, spare);
        case 4:
            return garble_anywhere(input, spare);
        case 5:
            return break_sectors(input, spare);
        case 6:
            return resize(input, spare);
        default:
            return damage_table(input, spare, geometry);
    }
}

}  // namespace dmremap::fuzz
