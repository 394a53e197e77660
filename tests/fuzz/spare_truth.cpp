// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/spare_truth.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

namespace dmremap::fuzz {

namespace {

using Wide = unsigned __int128;

bool power_of_two_between(std::uint64_t n, std::uint64_t least, std::uint64_t most) {
    for (std::uint64_t power = least; power <= most; power *= 2)
        if (n == power) return true;
    return false;
}

// The CRC of a structure at its place (FORMAT.md, checksums).
std::uint32_t seal(const std::uint8_t* uuid, std::uint64_t place, const void* bytes,
                   std::size_t length) {
    std::uint8_t where[8];
    for (unsigned i = 0; i < 8; i++) where[i] = static_cast<std::uint8_t>(place >> (8 * i));
    return dmr_crc32c(dmr_crc32c(dmr_crc32c(~std::uint32_t{0}, uuid, 16), where, 8), bytes, length);
}

struct Copy {
    dmr_superblock sb;
    bool valid = false;
};

// Fills `why` with what no copy may be.
Copy read_copy(const SparseImage& spare, std::uint64_t offset, std::string& why) {
    Copy copy{};
    if (spare.unreadable(offset, sizeof(copy.sb))) return copy;
    spare.peek(offset, &copy.sb, sizeof(copy.sb));
    const dmr_superblock& sb = copy.sb;
    if (std::memcmp(sb.magic, "DMREMAP4", 8) != 0 ||
        dmr_le32(sb.crc) != seal(sb.uuid, offset, &sb, 4092))
        return copy;
    if (dmr_le32(sb.version) != 1 || dmr_le32(sb.incompat) != 0) {
        why = "a copy of an unknown version or with unknown features";
        return copy;
    }
    copy.valid = dmr_le64(sb.sequence) >> 63 == 0 && dmr_le64(sb.entry_epoch) >> 31 == 0 &&
                 impossible_geometry(sb).empty();
    return copy;
}

bool same_update(const dmr_superblock& a, const dmr_superblock& b) {
    return std::memcmp(&a, &b, 4092) == 0;
}

std::uint64_t sectors_of_block(const dmr_superblock& sb, std::uint64_t block) {
    return std::min<std::uint64_t>(8, dmr_le64(sb.main_size) / 512 - block * 8);
}

bool entry_valid(const dmr_superblock& sb, const dmr_entry& e, std::uint64_t slot) {
    if (dmr_le32(e.crc) != seal(sb.uuid, slot, &e, 28)) return false;
    if (dmr_le64(e.sequence) >> 63 != 0) return false;
    const std::uint64_t block = dmr_le64(e.main_block);
    if (e.state == 0 || e.state == 2)
        return block == ~std::uint64_t{0} && e.lost == 0 && e.retry == 0 && e.reason == 0;
    if (e.state != 1 || e.reason < 1 || e.reason > 6) return false;
    if (block > (dmr_le64(sb.main_size) - 1) / 4096) return false;
    for (unsigned bit = 0; bit < 8; bit++) {
        const bool lost = (e.lost >> bit & 1) != 0, retry = (e.retry >> bit & 1) != 0;
        if ((lost && bit >= sectors_of_block(sb, block)) || (retry && !lost)) return false;
    }
    return true;
}

// An entry of one copy; nothing where it cannot be read or is not valid.
std::optional<dmr_entry> read_entry(const SparseImage& spare, const dmr_superblock& sb, int copy,
                                    std::uint64_t slot) {
    const std::uint64_t page_size = dmr_le32(sb.page_size), per_page = page_size / 32;
    const std::uint64_t offset = dmr_page_offset(&sb, copy, slot / per_page) + slot % per_page * 32;
    const std::uint64_t block = spare.info().logical_block;
    dmr_entry entry;
    if (spare.unreadable(offset / block * block, block)) return std::nullopt;
    spare.peek(offset, &entry, sizeof(entry));
    if (!entry_valid(sb, entry, slot)) return std::nullopt;
    return entry;
}

void read_table(const SparseImage& spare, SpareTruth& truth) {
    const dmr_superblock& sb = *truth.superblock;
    const std::uint64_t ready = dmr_le64(sb.table_ready), slots = dmr_le64(sb.slots);
    const std::uint64_t per_page = dmr_le32(sb.page_size) / 32;
    // What a power cut garbles, and so the unit in which a page of both sides is mended.
    const std::uint64_t in_piece =
        std::max({spare.info().logical_block, spare.info().physical_block, 512u}) / 32;
    bool lacks[2] = {false, false}, one_sided = false, mixed = false;
    for (std::uint64_t slot = 0; slot < ready; slot++) {
        const auto first = read_entry(spare, sb, 0, slot), second = read_entry(spare, sb, 1, slot);
        dmr_entry entry{};
        if (first && second && std::memcmp(&*first, &*second, sizeof(entry)) != 0 &&
            first->sequence == second->sequence) {
            truth.refused = "one sequence with two contents";
            lacks[0] = lacks[1] = true;
        } else if (!first && !second) {
            truth.refused = "an entry without any valid copy";
            lacks[0] = lacks[1] = true;
        } else {
            const bool take_first =
                first && (!second || dmr_le64(first->sequence) >= dmr_le64(second->sequence));
            entry = take_first ? *first : *second;
            lacks[0] = lacks[0] || !first || std::memcmp(&*first, &entry, sizeof(entry)) != 0;
            lacks[1] = lacks[1] || !second || std::memcmp(&*second, &entry, sizeof(entry)) != 0;
        }
        truth.entries.push_back(entry);
        if ((slot + 1) % in_piece == 0 || slot + 1 == ready) {
            mixed = mixed || (lacks[0] && lacks[1]);
            for (std::uint64_t i = slot / in_piece * in_piece; lacks[0] && lacks[1] && i <= slot;
                 i++)
                truth.stuck.push_back(i);
            one_sided = one_sided || lacks[0] != lacks[1];
            lacks[0] = lacks[1] = false;
        }
        if ((slot + 1) % per_page == 0 || slot + 1 == ready) {
            if (mixed) truth.mixed.push_back(slot / per_page);
            truth.mendable = truth.mendable || (one_sided && !mixed);
            truth.half_mendable = truth.half_mendable || (one_sided && mixed);
            one_sided = mixed = false;
        }
    }
    std::set<std::pair<std::uint64_t, std::uint64_t>> claimed;  // block, sequence
    for (std::uint64_t slot = 0; slot < ready; slot++) {
        const dmr_entry& e = truth.entries[slot];
        if (e.state != 1) continue;
        const std::uint64_t block = dmr_le64(e.main_block);
        const Claim claim{slot, dmr_le64(e.sequence), e.lost, e.retry};
        if (!claimed.insert({block, claim.sequence}).second)
            truth.refused = "claims that contradict each other";
        const auto [at, fresh] = truth.live.emplace(block, claim);
        if (fresh) continue;
        const bool newer = claim.sequence > at->second.sequence;
        truth.outdated.push_back(newer ? at->second.slot : slot);
        if (newer) at->second = claim;
    }
    std::sort(truth.outdated.begin(), truth.outdated.end());
    // The step that would come next: as much again, at least 1024 entries, at most 65536.
    const std::uint64_t step = std::min<std::uint64_t>(std::max<std::uint64_t>(ready, 1024), 65536);
    const std::uint64_t pages =
        std::min((ready + step + per_page - 1) / per_page, (slots + per_page - 1) / per_page);
    for (std::uint64_t slot = (ready + per_page - 1) / per_page * per_page; slot < pages * per_page;
         slot++)
        for (const int copy : {0, 1})
            if (const auto e = read_entry(spare, sb, copy, slot); e && e->sequence != 0)
                truth.refused = "a used entry above table_ready";
    if (truth.refused.empty() && (dmr_le32(sb.flags) & DMR_CLEAN) != 0 &&
        dmr_le64(sb.live_remaps) != truth.live.size())
        truth.refused = "closed clean with another number of remaps";
}

}  // namespace

std::string impossible_geometry(const dmr_superblock& sb) {
    const std::uint64_t main_size = dmr_le64(sb.main_size), spare_size = dmr_le64(sb.spare_size);
    const std::uint64_t page = dmr_le32(sb.page_size), slots = dmr_le64(sb.slots);
    const std::uint64_t ready = dmr_le64(sb.table_ready);
    const std::uint64_t main_block = dmr_le32(sb.main_logical_block);
    if (!power_of_two_between(page, 4096, 65536)) return "page size";
    if (!power_of_two_between(main_block, 512, 4096)) return "main's logical block";
    if (!power_of_two_between(dmr_le32(sb.spare_logical_block), 512, main_block))
        return "the spare's logical block";
    if (main_size == 0 || main_size >> 63 != 0 || main_size % main_block != 0) return "main's size";
    if (spare_size < 8u << 20 || spare_size >> 63 != 0) return "the spare's size";
    if (slots == 0 || ready > slots || (ready != slots && ready % (page / 32) != 0))
        return "slots or table_ready";
    // Linear space: what lies between the edges, less the holes, up to a hole that is cut off.
    Wide linear = 0;
    std::uint64_t at = 1u << 20;
    const std::uint64_t end = spare_size - (1u << 20);
    for (unsigned i = 1; i < DMR_COPIES_MAX; i++) {
        const std::uint64_t hole = dmr_copy_offsets[i];
        if (hole >= end) break;
        linear += hole - at;
        at = hole + 65536;
        if (at > end) break;
    }
    if (at < end) linear += end - at;
    const Wide first = dmr_le64(sb.first_table), area = dmr_le64(sb.slot_area),
               second = dmr_le64(sb.second_table);
    const Wide table = (Wide{slots} * 32 + page - 1) / page * page;
    if (first % page != 0 || area % page != 0 || second % page != 0) return "alignment";
    if (first + table > area || area + Wide{slots} * 4096 > second || second + table > linear)
        return "tables and slots";
    return "";
}

SpareTruth truth_of(const SparseImage& spare) {
    SpareTruth truth;
    std::vector<dmr_superblock> valid;
    const std::uint64_t size = spare.info().size;
    for (const std::uint64_t offset : dmr_copy_offsets) {
        if (size < 8u << 20 || offset + 65536 > size - (1u << 20)) break;
        const Copy copy = read_copy(spare, offset, truth.refused);
        if (copy.valid) valid.push_back(copy.sb);
    }
    for (const dmr_superblock& sb : valid) {
        for (const dmr_superblock& other : valid) {
            if (std::memcmp(sb.uuid, other.uuid, 16) != 0) truth.refused = "two UUIDs";
            if (sb.sequence == other.sequence && !same_update(sb, other))
                truth.refused = "one sequence with two contents";
        }
        if (!truth.superblock || dmr_le64(sb.sequence) > dmr_le64(truth.superblock->sequence))
            truth.superblock = sb;
    }
    if (!truth.superblock) truth.refused = "no valid superblock copy";
    if (!truth.refused.empty()) return truth;
    if (size < dmr_le64(truth.superblock->spare_size)) {
        truth.refused = "smaller than when it was formatted";
        return truth;
    }
    read_table(spare, truth);
    return truth;
}

}  // namespace dmremap::fuzz
