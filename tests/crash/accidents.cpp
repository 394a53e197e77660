// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/accidents.h"

#include <cstring>

#include "core/meta/examine.h"
#include "tests/crash/requests.h"

namespace dmremap::test {

namespace {

constexpr std::uint64_t kLongestCallsToDeath = 16;

}  // namespace

void Accidents::open() {
    ++opened_;
    world_.user.open(options_);
}

void Accidents::spoil_main() {
    const std::uint64_t block = world_.any_block();
    if (world_.machine.remaps().contains(block)) return plain_request(world_, Op::write);
    const std::uint64_t s = block * DMR_SECTORS_PER_BLOCK + world_.any_unit(block);
    world_.may_fail(s, world_.unit);
    world_.readable(Side::main, s, world_.unit, false);
    if (world_.below(2) == 0) world_.takes_no_writes(Side::main, s, world_.unit, true);
    if (world_.below(2) == 0) world_.user.run(Op::read, block * kBlock, world_.length_of(block));
}

void Accidents::break_slot() {
    const RemapInfo* const remap = world_.any_remap([](const RemapInfo&) { return true; });
    if (remap == nullptr || table_broken_) return plain_request(world_, Op::write);
    const std::uint64_t block = remap->sector / DMR_SECTORS_PER_BLOCK, s = world_.any_unit(block);
    world_.takes_no_writes(Side::spare, remap->spare_sector + s, world_.unit, true);
    world_.user.run(Op::write, block * kBlock + s * kSector, world_.unit * kSector);
}

void Accidents::spoil_slot() {
    const RemapInfo* const remap = world_.any_remap([&](const RemapInfo& r) {
        return !world_.has_faults(Side::spare, r.spare_sector, DMR_SECTORS_PER_BLOCK);
    });
    if (remap == nullptr || table_broken_) return plain_request(world_, Op::write);
    const std::uint64_t block = remap->sector / DMR_SECTORS_PER_BLOCK, s = world_.any_unit(block);
    world_.may_fail(block * DMR_SECTORS_PER_BLOCK + s, world_.unit);
    world_.readable(Side::spare, remap->spare_sector + s, world_.unit, false);
    world_.user.run(Op::read, block * kBlock, world_.length_of(block));
    world_.user.run(Op::write, block * kBlock + s * kSector, world_.unit * kSector);
}

void Accidents::break_page() {
    const dmr_superblock& sb = world_.start.layout.sb;
    const RemapInfo* const remap = world_.any_remap([&](const RemapInfo& r) {
        return (r.lost != 0 || !world_.has_faults(Side::main, r.sector, DMR_SECTORS_PER_BLOCK)) &&
               (dmr_le32(sb.page_size) == kBlock || r.slot < dmr_le64(sb.table_ready));
    });
    if (remap == nullptr || superblock_broken_) return;
    const RemapInfo found = *remap;
    const std::uint64_t block = found.sector / DMR_SECTORS_PER_BLOCK;
    const std::uint64_t at = dmr_page_offset(&sb, static_cast<int>(world_.below(2)),
                                             found.slot / dmr_entries_per_page(&sb));
    world_.takes_no_writes(Side::spare, at / kSector + world_.below(8) / world_.unit * world_.unit,
                           world_.unit, true);
    table_broken_ = true;
    if (found.lost != 0)
        world_.user.run(Op::write, block * kBlock, world_.length_of(block));
    else
        world_.user.unmap(found.sector, world_.sectors_of(block));
}

void Accidents::break_superblock() {
    if (table_broken_) return;
    world_.takes_no_writes(Side::spare, dmr_copy_offsets[world_.below(3)] / kSector,
                           DMR_SUPERBLOCK_SIZE / kSector, true);
    superblock_broken_ = true;
}

void Accidents::mend_metadata() {
    const auto faults = world_.machine.faults()[index(Side::spare)];
    for (const std::uint64_t s : faults)
        if (!world_.start.layout.is_slot(s)) world_.takes_no_writes(Side::spare, s, 1, false);
    table_broken_ = superblock_broken_ = false;
}

void Accidents::open_again() {
    const bool whole =
        !table_broken_ && !superblock_broken_ && world_.user.disk().status().retired_pages == 0;
    world_.user.close();
    if (whole) examine();
    if (whole && world_.below(2) == 0) rot();
    come_back();
}

void Accidents::killed() {
    world_.user.vanish();
    come_back();
}

void Accidents::killed_in_flight() {
    Machine& machine = world_.machine;
    machine.note("killed with requests in flight");
    machine.hold([](Side, const Io&) { return true; });
    User::InFlight asked;
    for (const std::uint64_t block : {world_.any_block(), world_.any_block()}) {
        const auto remap = machine.remaps().find(block);
        if ((asked.empty() || asked.front()->first != block * DMR_SECTORS_PER_BLOCK) &&
            (remap == machine.remaps().end() || remap->second.lost == 0))
            asked.push_back(world_.user.ask(Op::write, block * kBlock, world_.length_of(block)));
    }
    world_.user.vanish(asked);
    come_back();
}

void Accidents::killed_midway() {
    constexpr User::During kDuring[] = {User::During::open, User::During::close,
                                        User::During::request, User::During::request};
    const std::uint64_t block = world_.any_block();
    world_.user.vanish_during(kDuring[world_.below(std::size(kDuring))],
                              world_.below(kLongestCallsToDeath), block * kBlock,
                              world_.length_of(block));
    come_back();
}

void Accidents::come_back() {
    if ((table_broken_ || superblock_broken_) && world_.below(3) != 0) mend_metadata();
    if (!world_.user.problem().empty()) return;
    open();
    if (!world_.user.is_open()) return;
    world_.user.check_remaps();
    world_.user.read_area(false);
}

// After a close in order there is nothing to repair.
void Accidents::examine() {
    const auto device = world_.machine.device(Side::spare);
    const SpareReport report = examine_spare(*device, true);
    if (!report.fatal.empty()) world_.user.fail("examine: " + report.fatal.front());
    if (!report.repairable.empty()) world_.user.fail("examine: " + report.repairable.front());
}

// One copy of something is damaged while nobody looks.
void Accidents::rot() {
    const Layout& layout = world_.start.layout;
    const dmr_superblock& sb = layout.sb;
    const std::uint64_t pages =
        dmr_le64(sb.table_ready) / dmr_entries_per_page(&sb);  // those of the first step
    const bool superblock = world_.below(2) == 0;
    const std::uint64_t at =
        superblock ? dmr_copy_offsets[world_.below(3)]
                   : dmr_page_offset(&sb, static_cast<int>(world_.below(2)), world_.below(pages));
    Mark mark{.kind = Mark::Kind::rotted, .side = Side::spare};
    mark.first = at / kSector;
    mark.count = (superblock ? DMR_SUPERBLOCK_SIZE : dmr_le32(sb.page_size)) / kSector;
    if (world_.below(2) == 0) mark.count = layout.shape.spare_logical / kSector;
    const auto how = world_.below(3);
    for (std::uint64_t s = 0; s < mark.count; ++s) {
        Cell cell{};
        std::memcpy(cell.bytes.data(), world_.machine.volume(Side::spare).bytes(mark.first + s),
                    kSector);
        if (how == 0) cell.bytes.fill(std::byte{0});
        if (how == 1) cell.bytes[world_.below(kSector)] ^= std::byte{0x10};
        cell.unreadable = how == 2;
        mark.cells.push_back(cell);
    }
    world_.machine.mark(std::move(mark));
}

}  // namespace dmremap::test
