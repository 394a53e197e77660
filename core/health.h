// SPDX-License-Identifier: GPL-2.0-or-later
// How well a disk is, in a number and in sentences, from nothing but what was measured.
//
// The score begins at 100. Each of these takes away, and says so in a sentence; log2 is that of one
// more than the number, rounded up, so that what is many times as much counts a little more. The
// same figures stand in mount.dmremapfs(8):
//
//     lost sectors                    8 + 3 log2, at most 40
//     remapped blocks                 2 log2, at most 20
//     blocks remapped in 7 days       3 log2, at most 24; what the days noted show
//     half of 8 blocks or more lie
//       in one region of 64 MiB       5: a scratch, which grows (of a main of 1 GiB or more)
//     weak blocks                     log2, at most 8
//     main failed writes              6: it has no sectors left to put in their place, or is ill
//     the spare failed calls          6
//     repaired copies of metadata     2 log2, at most 10
//     retired pages                   10
//     slots free, in percent          below 20: 6, below 10: 12, below 5: 20, none: 30
//
// and where nothing can be written any more, for another reason than that it was opened so, it is
// at most 20; where main does not answer, 0. Errors count from the opening of the disk.
//
// When the spare will be full is told from the days noted in the superblock: the growth between the
// oldest and the newest of the last 32 noted, which must be 3 days apart or more.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/disk.h"

namespace dmremap {

struct RemapSpread {
    std::uint64_t remaps = 0;
    std::uint64_t densest = 0;         // remaps of the fullest region of 64 MiB
    std::uint64_t densest_sector = 0;  // where it begins
};

RemapSpread spread_of(const Disk& disk);  // throws bad_alloc

struct Health {
    unsigned score = 100;
    std::vector<std::string> because;  // a sentence for each thing that takes away
    std::string trend;
    std::string spare_full;
    std::string advice;  // "none", or what to do
};

Health judge_health(const DiskStatus& status, const RemapSpread& spread);

// "name value" lines: state, causes, score, the sentences (because, several), trend, spare_full,
// what is lost and left, and the advice.
std::string health_text(const DiskStatus& status, const RemapSpread& spread);

}  // namespace dmremap
