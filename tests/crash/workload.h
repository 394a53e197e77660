// SPDX-License-Identifier: GPL-2.0-or-later
// A life of a pair, recorded: 250 operations that leave nothing out that writes to main or spare.
//
// Reads and writes that relocate, on bad spots of every kind and on slots that turn out bad; blocks
// remapped and unmapped by hand; lost marks, cleared by whole and partial writes and by salvage;
// many requests in flight that share a commit; a write to a slot that is under way while another
// region commits; zeroing and discards; the growth of the table, pages that become retired,
// superblock copies that take no writes; clean closes with damage to one copy before the next
// opening, and processes that are killed, also with requests in flight.
//
// The same seed gives the same tape as long as the disk itself does its calls in the same order;
// where the order between the healer and the pool's threads is open, one of a few tapes. Their
// signature tells which.
#pragma once

#include <string>

#include "tests/crash/start.h"

namespace dmremap::test {

// What really happened in a life.
struct Happened {
    std::uint64_t operations = 0, opened = 0, remaps = 0, unmaps = 0, moves = 0, lost = 0,
                  salvaged = 0, rewritten = 0, bad_slots = 0, retired = 0, grown = 0, recovered = 0;
};

struct Recording {
    Start start;
    Tape tape;
    Values values;
    Happened happened;
    std::string problem;  // an answer was wrong while recording
};

Recording record(const Profile& profile, std::uint64_t seed);

}  // namespace dmremap::test
