// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/start.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/meta/format_spare.h"

namespace dmremap::test {

namespace {

constexpr std::uint64_t kFreeSlots = 26;
constexpr unsigned kClusters = 9;
constexpr unsigned kBadSlots = 4;

Spot spot_of(std::uint64_t n) {
    constexpr Spot kSpots[] = {Spot::good,       Spot::takes_no_writes, Spot::unreadable,
                               Spot::good,       Spot::takes_no_writes, Spot::both,
                               Spot::unreadable, Spot::takes_no_writes, Spot::good};
    return kSpots[n % std::size(kSpots)];
}

// Both ends of main, and clusters of neighbours between them.
std::map<std::uint64_t, Spot> choose_blocks(std::uint64_t blocks, std::mt19937_64& rng) {
    std::map<std::uint64_t, Spot> chosen{
        {0, Spot::good}, {blocks - 1, Spot::takes_no_writes}, {blocks - 2, Spot::unreadable}};
    std::uint64_t n = rng();
    for (unsigned i = 0; i < kClusters; ++i) {
        const std::uint64_t first = 1 + blocks * i / kClusters + rng() % (blocks / kClusters - 8);
        for (std::uint64_t b = first; b < first + 5; ++b) chosen.try_emplace(b, spot_of(n++));
    }
    for (unsigned reserves = 0; reserves < 3;) {
        auto& [block, spot] =
            *std::next(chosen.begin(), static_cast<std::ptrdiff_t>(rng() % chosen.size()));
        reserves += block != 0 && spot != Spot::reserve ? 1 : 0;
        if (block != 0) spot = Spot::reserve;
    }
    return chosen;
}

dmr_superblock read_superblock(const Volume& spare) {
    dmr_superblock sb;
    for (std::uint64_t i = 0; i < DMR_SUPERBLOCK_SIZE / kSector; ++i)
        std::memcpy(reinterpret_cast<std::byte*>(&sb) + i * kSector,
                    spare.bytes(dmr_copy_offsets[0] / kSector + i), kSector);
    return sb;
}

// All slots of the first step but `free` become bad ones, as a long life would have made them.
void use_up_slots(Volume& spare, const dmr_superblock& sb, const std::set<std::uint64_t>& free) {
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    for (std::uint64_t slot = 0; slot < dmr_le64(sb.table_ready); ++slot) {
        if (free.contains(slot)) continue;
        dmr_entry entry{};
        entry.main_block = dmr_to_le64(DMR_NO_BLOCK);
        entry.sequence = dmr_to_le64(slot + 1);
        entry.state = DMR_BAD_SLOT;
        entry.crc = dmr_to_le32(dmr_entry_crc(&entry, sb.uuid, slot));
        for (const int copy : {0, 1}) {
            const std::uint64_t at =
                dmr_page_offset(&sb, copy, slot / per_page) + slot % per_page * DMR_ENTRY_SIZE;
            Cell cell{};
            std::memcpy(cell.bytes.data(), spare.bytes(at / kSector), kSector);
            std::memcpy(cell.bytes.data() + at % kSector, &entry, sizeof(entry));
            spare.put(at / kSector, cell);
        }
    }
}

std::set<std::uint64_t> choose_slots(const dmr_superblock& sb, std::mt19937_64& rng) {
    const std::uint64_t ready = dmr_le64(sb.table_ready);
    const std::uint64_t page = std::min<std::uint64_t>(dmr_entries_per_page(&sb), 128);
    std::set<std::uint64_t> free;
    while (free.size() < kFreeSlots)  // most on the first page
        free.insert(rng() % 4 != 0 ? rng() % page : rng() % ready);
    return free;
}

}  // namespace

Start make_start(const Profile& profile, Values& values, std::mt19937_64& rng) {
    const Shape& shape = profile.shape;
    const std::uint64_t unit = shape.main_logical / kSector;
    const std::uint64_t sectors = shape.main_size / kSector;
    const auto chosen = choose_blocks((shape.main_size + kBlock - 1) / kBlock, rng);
    std::vector<std::uint64_t> followed;
    for (const auto& [block, spot] : chosen)
        for (std::uint64_t s = block * 8; s < std::min(block * 8 + 8, sectors); ++s)
            followed.push_back(s);

    Volume main(shape.main_size), spare(shape.spare_size);
    const auto content = pattern(0, sectors, 1);
    for (std::uint64_t s = 0; s < sectors; ++s) main.put(s, content.data() + s * kSector);
    main.fold();
    std::vector<std::uint32_t> initial;
    for (const std::uint64_t s : followed) initial.push_back(values.add(main.bytes(s)));
    const auto area = std::make_shared<const Area>(sectors, followed);
    Start start{{{main, spare}, {}, Model(area, initial, static_cast<std::uint32_t>(unit))},
                Layout(shape),
                {chosen.begin(), chosen.end()}};

    Machine machine(shape);
    machine.load(start.state);
    const auto main_device = machine.device(Side::main), spare_device = machine.device(Side::spare);
    FormatOptions options;
    options.uuid = "5a1f00d5-0000-4000-8000-00000000cafe";
    format_spare(*main_device, *spare_device, options);
    start.state.volumes[1] = machine.volume(Side::spare);
    Volume& formatted = start.state.volumes[1];
    const dmr_superblock sb = read_superblock(formatted);
    start.layout.learn(sb);
    const auto free = choose_slots(sb, rng);
    use_up_slots(formatted, sb, free);
    formatted.fold();

    auto& faults = start.state.faults;
    for (const auto& [block, spot] : chosen) {
        const std::uint64_t units = (std::min(block * 8 + 8, sectors) - block * 8) / unit;
        const auto some = [&](auto&& each) {
            const std::uint64_t first = rng() % units, count = 1 + rng() % (units - first);
            for (std::uint64_t s = 0; s < count * unit; ++s) each(block * 8 + first * unit + s);
        };
        if (spot != Spot::good && spot != Spot::unreadable)
            some([&](std::uint64_t s) { faults[index(Side::main)].insert(s); });
        if (spot == Spot::unreadable || spot == Spot::both)
            some([&](std::uint64_t s) {
                start.state.volumes[index(Side::main)].set_unreadable(s, true);
                start.state.model.add(s, Values::kEio);
            });
    }
    start.state.volumes[index(Side::main)].fold();
    for (unsigned i = 0; i < kBadSlots; ++i) {
        const std::uint64_t slot =
            *std::next(free.begin(), static_cast<std::ptrdiff_t>(rng() % free.size()));
        const std::uint64_t first = dmr_slot_offset(&sb, slot) / kSector;
        for (std::uint64_t s = rng() % 8 / unit * unit; s < 8; ++s)
            faults[index(Side::spare)].insert(first + s);
    }
    return start;
}

}  // namespace dmremap::test
