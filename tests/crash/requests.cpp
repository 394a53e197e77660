// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/requests.h"

#include <algorithm>
#include <set>

#include "core/engine/gates.h"

namespace dmremap::test {

namespace {

std::uint64_t region_of(std::uint64_t block) { return block * kBlock >> kRegionShift; }

// A block of a region that nobody ever touches.
std::uint64_t quiet_block(const World& world, std::uint64_t region) {
    const auto& place = world.machine.model().area().place;
    std::uint64_t block = (region << kRegionShift) / kBlock;
    while (place[block * DMR_SECTORS_PER_BLOCK] >= 0) ++block;
    return block;
}

}  // namespace

void plain_request(World& world, Op op) {
    const std::uint64_t block = world.any_block(), units = world.sectors_of(block) / world.unit;
    std::uint64_t first = block * DMR_SECTORS_PER_BLOCK, count = units * world.unit;
    if (world.below(2) == 0) {
        const std::uint64_t from = world.below(units);
        first += from * world.unit;
        count = (1 + world.below(units - from)) * world.unit;
    } else if (world.below(3) == 0 && world.in_area(block + 1)) {
        count += world.sectors_of(block + 1);
    }
    world.user.run(op, first * kSector, count * kSector);
}

void odd_bytes(World& world) {
    const std::uint64_t block = world.any_block(), size = world.length_of(block);
    const std::uint64_t from = world.below(size - 1);
    world.user.run(world.below(4) == 0 ? Op::zero : Op::write, block * kBlock + from,
                   1 + world.below(size - from));
}

void write_lost(World& world) {
    const RemapInfo* const lost = world.any_remap([](const RemapInfo& r) { return r.lost != 0; });
    if (lost == nullptr) return plain_request(world, Op::write);
    const std::uint64_t block = lost->sector / DMR_SECTORS_PER_BLOCK;
    if (world.below(3) == 0)
        return world.user.run(Op::write, block * kBlock, world.length_of(block));
    std::uint64_t s = world.below(world.sectors_of(block));
    while ((lost->lost >> s & 1) == 0) s = (s + 1) % DMR_SECTORS_PER_BLOCK;
    const std::uint64_t at = block * kBlock + s / world.unit * world.unit * kSector;
    if (world.below(4) == 0)
        world.user.run(Op::write, at + 100, 200);
    else
        world.user.run(world.below(3) == 0 ? Op::zero : Op::write, at, world.unit * kSector);
}

void remap_or_unmap(World& world) {
    const auto fits_main = [&](const RemapInfo& r) {
        return r.lost == 0 && !world.has_faults(Side::main, r.sector, DMR_SECTORS_PER_BLOCK);
    };
    if (world.below(3) != 0) {
        // One after the other: the second one's commit comes without a flush between.
        for (std::uint64_t n = world.below(3); n < 3; ++n)
            if (const RemapInfo* const remap = world.any_remap(fits_main)) {
                const std::uint64_t sector = remap->sector;
                world.user.unmap(sector, world.sectors_of(sector / DMR_SECTORS_PER_BLOCK));
            }
        return;
    }
    const std::uint64_t first = world.any_block(), blocks = 1 + world.below(3);
    std::uint64_t count = world.sectors_of(first);
    for (std::uint64_t b = first + 1; b < first + blocks && world.in_area(b); ++b)
        count += world.sectors_of(b);
    if (world.below(4) == 0)
        world.user.unmap(first * DMR_SECTORS_PER_BLOCK, count);
    else
        world.user.remap(first * DMR_SECTORS_PER_BLOCK, count);
}

void salvage(World& world) {
    const auto wanted = [](const RemapInfo& r) { return r.retry != 0; };
    const RemapInfo* const lost = world.any_remap(wanted);
    if (lost != nullptr && world.below(3) != 0) {
        world.readable(Side::main, lost->sector,
                       world.sectors_of(lost->sector / DMR_SECTORS_PER_BLOCK), true);
        const RemapInfo* const more = world.any_remap(wanted);
        if (world.below(2) == 0) world.readable(Side::main, more->sector, world.unit, true);
    }
    world.user.salvage();
}

// A read of another region, which is let go last, keeps the healer busy until all have come; where
// there is but one region, a read keeps it out of that.
void many_at_once(World& world) {
    Machine& machine = world.machine;
    machine.note("many at once");
    const std::uint64_t regions = region_of((world.sectors() - 1) / DMR_SECTORS_PER_BLOCK) + 1;
    const std::uint64_t apart = world.below(regions), quiet = quiet_block(world, apart);
    const auto fits = [&](std::uint64_t block) {
        return regions == 1 || region_of(block) != apart;
    };
    std::set<std::uint64_t> chosen;
    const std::uint64_t n = 3 + world.below(5);
    for (unsigned tries = 0; chosen.size() < n && tries < 60; ++tries) {
        const std::uint64_t block = world.any_block();
        const auto remap = machine.remaps().find(block);
        if (fits(block) && (remap == machine.remaps().end() || remap->second.lost == 0))
            chosen.insert(block);
    }
    machine.hold([](Side, const Io&) { return true; });
    User::InFlight asked;
    if (regions == 1)
        asked.push_back(world.user.ask(Op::read, quiet * kBlock, world.unit * kSector));
    else
        asked.push_back(world.user.ask(Op::read, quiet * kBlock + 100, 200));
    machine.wait_held();
    for (const std::uint64_t block : chosen)
        asked.push_back(world.user.ask(world.below(5) == 0 ? Op::read : Op::write, block * kBlock,
                                       world.length_of(block)));
    const RemapInfo* const lost = world.any_remap(
        [&](const RemapInfo& r) { return r.lost != 0 && fits(r.sector / DMR_SECTORS_PER_BLOCK); });
    if (lost != nullptr)
        asked.push_back(world.user.ask(Op::write, lost->sector * kSector,
                                       world.length_of(lost->sector / DMR_SECTORS_PER_BLOCK)));
    machine.hold(nullptr);
    while (machine.held() > 1) machine.release(1 + world.below(machine.held() - 1));
    machine.release(0);
    for (auto& one : asked) world.user.finish(std::move(one));
    world.user.learn_homes();
}

void under_way_elsewhere(World& world) {
    Machine& machine = world.machine;
    const RemapInfo* const remap = world.any_remap([&](const RemapInfo& r) {
        return r.lost == 0 && !world.has_faults(Side::spare, r.spare_sector, DMR_SECTORS_PER_BLOCK);
    });
    if (remap == nullptr || world.user.disk().status().retired_pages != 0)
        return plain_request(world, Op::write);
    const std::uint64_t block = remap->sector / DMR_SECTORS_PER_BLOCK;
    const std::uint64_t slot = remap->spare_sector * kSector;
    machine.hold([=](Side side, const Io& io) {
        return side == Side::spare && io.op == Op::write && io.offset / kBlock == slot / kBlock;
    });
    auto asked = world.user.ask(Op::write, block * kBlock, world.length_of(block));
    for (const std::uint64_t other : world.blocks())
        if (region_of(other) != region_of(block) && !machine.remaps().contains(other) &&
            world.has_faults(Side::main, other * DMR_SECTORS_PER_BLOCK, DMR_SECTORS_PER_BLOCK)) {
            world.user.finish(world.user.ask(Op::write, other * kBlock, world.length_of(other)));
            break;
        }
    world.user.flush();
    machine.hold(nullptr);
    while (machine.held() != 0) machine.release(0);
    world.user.finish(std::move(asked));
    world.user.learn_homes();
}

}  // namespace dmremap::test
