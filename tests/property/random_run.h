// SPDX-License-Identifier: GPL-2.0-or-later
// One run of random operations on a fresh pair: what is done, how large, which faults come and go.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/oracle.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

struct Profile {
    const char* name;
    Shape shape;
    // Chances in 10000 operations.
    unsigned main_fault = 150;  // a spot of main goes bad
    unsigned main_heal = 60;    // one of its bad spots is good again
    unsigned slot_fault = 30;   // a slot goes bad
    unsigned meta_fault = 3;    // a superblock copy, or a page of one table copy, goes bad
    unsigned spot = 8;          // largest bad spot, in sectors
    unsigned storm = 3;         // both copies of the table take no writes for some operations
    unsigned flush_fault = 3;   // a flush fails
    unsigned by_hand = 60;      // blocks are remapped or unmapped by hand
    unsigned remount = 8;       // close and open
    unsigned drop = 8;          // open again without having closed
};

struct RunResult {
    std::string problem;  // "" or what was wrong, with seed and operation
    std::uint64_t operations = 0;
    std::uint64_t remaps = 0, moves = 0, opened = 0;
    bool filled = false, breaker = false;
    Oracle::Seen seen;
};

RunResult random_run(const Profile& profile, std::uint64_t seed, std::uint64_t operations);

}  // namespace dmremap::test
