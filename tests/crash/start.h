// SPDX-License-Identifier: GPL-2.0-or-later
// The pair that a workload begins with: formatted, its main full of known bytes and bad spots, and
// of its first step of slots but a few are left (the others are bad slots), so that a short
// workload comes to the growth of the table, too.
#pragma once

#include <random>

#include "tests/crash/cut.h"
#include "tests/crash/machine.h"

namespace dmremap::test {

struct Profile {
    const char* name;
    Shape shape;
};

// What a block of the area is good for.
enum class Spot : std::uint8_t {
    good,
    takes_no_writes,
    unreadable,  // some sectors, until they are written
    both,
    reserve,  // takes no writes, and the workload leaves it alone: for whoever opens a crash state
};

struct Start {
    CrashState state;
    Layout layout;
    std::vector<std::pair<std::uint64_t, Spot>> blocks;  // the area, ascending
};

Start make_start(const Profile& profile, Values& values, std::mt19937_64& rng);

}  // namespace dmremap::test
