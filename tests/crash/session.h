// SPDX-License-Identifier: GPL-2.0-or-later
// What is done with a state after a power cut, besides opening and reading it. See judge.h.
#pragma once

#include <optional>
#include <random>
#include <set>
#include <string>

#include "tests/crash/cutter.h"
#include "tests/crash/machine.h"
#include "tests/crash/user.h"

namespace dmremap::test {

// A copy of a page or of the superblock that this state can do without: without the open writes its
// partners say the same, and with them one of them is whole.
struct Reach {
    std::uint64_t first = 0, count = 0;  // sectors of the spare
    // Blocks that only this copy claims for a slot, in a commit that was cut off. While it is out
    // of reach they are written only where that moves them again: see judge.h, what is not proven.
    std::set<std::uint64_t> hidden;
};
// Mostly what the open writes of this cut go to.
std::optional<Reach> choose_outage(const Cutter& cutter, const CrashState& state,
                                   const Layout& layout, std::mt19937_64& rng);
void set_out_of_reach(Machine& machine, const Reach& reach, bool out);

// Opens, lists and reads everything; what is read is durable, but for the blocks in `hidden`.
bool open_and_read(User& user, const std::set<std::uint64_t>& hidden = {});

// Writes to blocks of every kind, a flush, all of it read again, and some more that is not flushed.
void work(User& user, Machine& machine, const std::vector<std::uint64_t>& reserves,
          const std::set<std::uint64_t>& hidden, std::mt19937_64& rng);

// "" or what is wrong with the spare after a close in order, on pages that take writes.
std::string examine_closed(Machine& machine);

// Opens read-only, reads everything, and sees that nothing is written.
void look_read_only(User& user, Machine& machine);

// As `dmremapctl check --repair`.
void repair(User& user, Machine& machine);

}  // namespace dmremap::test
