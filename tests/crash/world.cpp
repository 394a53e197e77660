// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/world.h"

#include <algorithm>

namespace dmremap::test {

World::World(const Profile& profile, const Start& start_state, Values& values, std::mt19937_64& rng)
    : start(start_state),
      machine(profile.shape),
      user(machine, values),
      unit(profile.shape.main_logical / kSector),
      rng_(rng),
      sectors_(profile.shape.main_size / kSector) {
    machine.load(start.state);
    for (const auto& [block, spot] : start.blocks)
        if (spot != Spot::reserve) blocks_.push_back(block);
}

bool World::in_area(std::uint64_t block) const {
    return std::binary_search(blocks_.begin(), blocks_.end(), block);
}

const RemapInfo* World::any_remap(const std::function<bool(const RemapInfo&)>& fits) {
    std::vector<const RemapInfo*> found;
    for (const auto& [block, remap] : machine.remaps())
        if (fits(remap)) found.push_back(&remap);
    return found.empty() ? nullptr : found[below(found.size())];
}

bool World::has_faults(Side side, std::uint64_t first, std::uint64_t count) const {
    const auto& faults = machine.faults()[index(side)];
    const auto at = faults.lower_bound(first);
    return at != faults.end() && *at < first + count;
}

void World::takes_no_writes(Side side, std::uint64_t first, std::uint64_t count, bool on) {
    machine.mark(
        {.kind = Mark::Kind::takes_no, .side = side, .on = on, .first = first, .count = count});
}

void World::readable(Side side, std::uint64_t first, std::uint64_t count, bool on) {
    machine.mark(
        {.kind = Mark::Kind::readable, .side = side, .on = on, .first = first, .count = count});
}

void World::may_fail(std::uint64_t first, std::uint64_t count) {
    machine.mark({.kind = Mark::Kind::may_fail, .first = first, .count = count});
}

}  // namespace dmremap::test
