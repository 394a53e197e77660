// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/session.h"

#include <algorithm>
#include <cstring>

#include "core/meta/examine.h"

namespace dmremap::test {

bool open_and_read(User& user, const std::set<std::uint64_t>& hidden) {
    if (!user.open()) return false;
    user.check_remaps();
    user.read_area(true, hidden);
    return user.problem().empty();
}

void work(User& user, Machine& machine, const std::vector<std::uint64_t>& reserves,
          const std::set<std::uint64_t>& hidden, std::mt19937_64& rng) {
    const auto below = [&](std::uint64_t limit) { return rng() % limit; };
    const Model& model = machine.model();
    const std::uint64_t unit = model.unit(), sectors = model.area().place.size();
    const auto takes_no_writes = [&](std::uint64_t block) {
        const auto& faults = machine.faults()[index(Side::main)];
        const auto fault = faults.lower_bound(block * 8);
        return fault != faults.end() && *fault < block * 8 + 8;
    };
    const auto write = [&](std::uint64_t block, bool whole) {
        // A block that only a hidden claim moved: not unless the write must move it again.
        if (hidden.contains(block) && !machine.remaps().contains(block)) {
            if (!takes_no_writes(block)) return;
            whole = true;
        }
        const std::uint64_t units = std::min<std::uint64_t>(8, sectors - block * 8) / unit;
        const std::uint64_t first = whole ? 0 : below(units);
        const std::uint64_t count = whole ? units : 1 + below(units - first);
        user.run(below(8) == 0 ? Op::zero : Op::write, (block * 8 + first * unit) * kSector,
                 count * unit * kSector, below(4) == 0);
    };
    const auto any_remap = [&](bool lost) {
        const auto& remaps = machine.remaps();
        auto at = remaps.begin();
        for (std::uint64_t n = remaps.empty() ? 0 : below(remaps.size()); n-- > 0;) ++at;
        while (lost && at != remaps.end() && at->second.lost == 0) ++at;
        return at == remaps.end() ? reserves[below(reserves.size())] : at->first;
    };
    const auto by_hand = [&] {
        const std::uint64_t remapped = any_remap(false);
        const std::uint64_t other = model.area().sectors[below(model.area().sectors.size())] / 8;
        if (!hidden.contains(remapped) && below(2) == 0)
            user.unmap(remapped * 8, std::min<std::uint64_t>(8, sectors - remapped * 8));
        else if (!hidden.contains(other))
            user.remap(other * 8, std::min<std::uint64_t>(8, sectors - other * 8));
    };
    const auto some = [&](unsigned n) {
        for (unsigned i = 0; i < n && user.problem().empty(); ++i) switch (below(6)) {
                case 0:
                    write(reserves[below(reserves.size())], below(2) == 0);
                    break;
                case 1:
                    write(any_remap(true), below(2) == 0);
                    break;
                case 2:
                    write(any_remap(false), below(2) == 0);
                    break;
                case 3:
                    by_hand();
                    break;
                default:
                    write(model.area().sectors[below(model.area().sectors.size())] / 8,
                          below(3) == 0);
            }
    };
    for (const std::uint64_t block : hidden) write(block, true);
    some(3);
    user.flush();
    user.read_area(false);
    user.check_remaps();
    some(2);
}

std::string examine_closed(Machine& machine) {
    const auto device = machine.device(Side::spare);
    const SpareReport report = examine_spare(*device, true);
    if (!report.fatal.empty()) return "examine after a close: " + report.fatal.front();
    if (!report.repairable.empty()) return "examine after a close: " + report.repairable.front();
    return "";
}

void look_read_only(User& user, Machine& machine) {
    OpenOptions options;
    options.read_only = true;
    if (!user.open(options)) return;
    user.check_remaps();
    user.read_area(true);
    user.close();
    if (machine.writes() != 0) user.fail("read-only, and something was written");
}

void repair(User& user, Machine& machine) {
    machine.note("repair");
    const auto device = machine.device(Side::spare);
    try {
        repair_spare(*device);
    } catch (const std::exception& refusal) {
        user.fail(std::string("repair refused: ") + refusal.what());
    }
}

namespace {

// Of a place of the spare: readable, and the bytes.
bool fetch(const Volume& spare, std::uint64_t offset, std::uint64_t length,
           std::vector<std::byte>& bytes) {
    bytes.resize(length);
    bool readable = true;
    for (std::uint64_t at = 0; at < length; at += kSector) {
        const std::uint64_t sector = (offset + at) / kSector;
        readable = readable && !spare.unreadable(sector);
        std::memcpy(bytes.data() + at, spare.bytes(sector), kSector);
    }
    return readable;
}

bool has_faults(const CrashState& state, std::uint64_t offset, std::uint64_t length) {
    const auto& faults = state.faults[index(Side::spare)];
    const auto fault = faults.lower_bound(offset / kSector);
    return fault != faults.end() && *fault < (offset + length) / kSector;
}

bool whole_superblock(const Volume& spare, std::uint64_t offset) {
    std::vector<std::byte> bytes;
    if (!fetch(spare, offset, DMR_SUPERBLOCK_SIZE, bytes)) return false;
    dmr_superblock sb;
    std::memcpy(&sb, bytes.data(), sizeof(sb));
    return dmr_superblock_verdict(&sb, offset) == DMR_OK;
}

std::vector<dmr_entry> entries_of(const std::vector<std::byte>& page) {
    std::vector<dmr_entry> entries(page.size() / DMR_ENTRY_SIZE);
    std::memcpy(entries.data(), page.data(), page.size());
    return entries;
}

bool whole_page(const Volume& spare, const dmr_superblock& sb, int copy, std::uint64_t page) {
    std::vector<std::byte> bytes;
    if (!fetch(spare, dmr_page_offset(&sb, copy, page), dmr_le32(sb.page_size), bytes))
        return false;
    std::uint64_t slot = page * dmr_entries_per_page(&sb);
    for (const dmr_entry& entry : entries_of(bytes))
        if (!dmr_entry_valid(&sb, &entry, slot++)) return false;
    return true;
}

std::optional<Reach> superblock_outage(const CrashState& durable, const CrashState& state,
                                       const Layout& layout, unsigned chosen) {
    const Volume& before = durable.volumes[index(Side::spare)];
    const Volume& spare = state.volumes[index(Side::spare)];
    const unsigned copies = dmr_copies(layout.shape.spare_size);
    bool partner = false;
    for (unsigned i = 0; i < copies; ++i) {
        if (!whole_superblock(before, dmr_copy_offsets[i]) ||
            has_faults(state, dmr_copy_offsets[i], DMR_SUPERBLOCK_SIZE))
            return std::nullopt;
        partner |= i != chosen && whole_superblock(spare, dmr_copy_offsets[i]);
    }
    if (!partner) return std::nullopt;
    return Reach{dmr_copy_offsets[chosen] / kSector, DMR_SUPERBLOCK_SIZE / kSector, {}};
}

std::optional<Reach> page_outage(const CrashState& durable, const CrashState& state,
                                 const Layout& layout, std::uint64_t page, int copy) {
    const dmr_superblock& sb = layout.sb;
    const std::uint64_t size = dmr_le32(sb.page_size);
    std::vector<std::byte> one, other;
    const Volume& before = durable.volumes[index(Side::spare)];
    const Volume& after = state.volumes[index(Side::spare)];
    for (const int c : {0, 1})
        if (has_faults(state, dmr_page_offset(&sb, c, page), size)) return std::nullopt;
    if (!fetch(before, dmr_page_offset(&sb, 0, page), size, one) ||
        !fetch(before, dmr_page_offset(&sb, 1, page), size, other) || one != other ||
        !whole_page(after, sb, 1 - copy, page))
        return std::nullopt;
    Reach reach{dmr_page_offset(&sb, copy, page) / kSector, size / kSector, {}};
    fetch(after, dmr_page_offset(&sb, copy, page), size, one);
    fetch(after, dmr_page_offset(&sb, 1 - copy, page), size, other);
    const auto mine = entries_of(one), partners = entries_of(other);
    for (std::size_t i = 0; i < mine.size(); ++i)
        if (std::memcmp(&mine[i], &partners[i], sizeof(dmr_entry)) != 0 &&
            mine[i].state == DMR_REMAPPED)
            reach.hidden.insert(dmr_le64(mine[i].main_block));
    return reach;
}

}  // namespace

std::optional<Reach> choose_outage(const Cutter& cutter, const CrashState& state,
                                   const Layout& layout, std::mt19937_64& rng) {
    // One more piece of metadata that is bad would be one more than is promised to be borne.
    for (const std::uint64_t sector : state.faults[index(Side::spare)])
        if (!layout.is_slot(sector)) return std::nullopt;
    const dmr_superblock& sb = layout.sb;
    const std::uint64_t pages =
        (dmr_le64(sb.slots) + dmr_entries_per_page(&sb) - 1) / dmr_entries_per_page(&sb);
    std::vector<Reach> candidates;
    const auto consider = [&](const std::optional<Reach>& reach, bool only_open) {
        const auto under_the_pen = [&](const Mark* write) {
            return write->side == Side::spare && write->first >= reach->first &&
                   write->first < reach->first + reach->count;
        };
        if (reach &&
            (!only_open || std::any_of(cutter.open().begin(), cutter.open().end(), under_the_pen)))
            candidates.push_back(*reach);
    };
    const auto consider_all = [&](bool only_open) {
        for (unsigned i = 0; i < dmr_copies(layout.shape.spare_size); ++i)
            consider(superblock_outage(cutter.durable(), state, layout, i), only_open);
        for (std::uint64_t page = 0; page < pages; ++page)
            for (const int copy : {0, 1})
                consider(page_outage(cutter.durable(), state, layout, page, copy), only_open);
    };
    consider_all(true);
    if (candidates.empty() || rng() % 4 == 0) consider_all(false);
    if (candidates.empty()) return std::nullopt;
    return candidates[rng() % candidates.size()];
}

void set_out_of_reach(Machine& machine, const Reach& reach, bool out) {
    machine.mark({.kind = Mark::Kind::readable,
                  .side = Side::spare,
                  .on = !out,
                  .first = reach.first,
                  .count = reach.count});
    machine.mark({.kind = Mark::Kind::takes_no,
                  .side = Side::spare,
                  .on = out,
                  .first = reach.first,
                  .count = reach.count});
}

}  // namespace dmremap::test
