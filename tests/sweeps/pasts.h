// SPDX-License-Identifier: GPL-2.0-or-later
// The histories that the corruption sweep starts from.
#pragma once

#include <ostream>

#include "tests/sweeps/history.h"

namespace dmremap::test {

constexpr std::uint64_t kMiB = 1 << 20;

inline const Past kPasts[] = {
    // The last block of main has three sectors.
    {.name = "closed", .shape = {.main_size = kMiB + 3 * kSector}},
    {.name = "killed", .shape = {.main_size = kMiB + 3 * kSector}, .closed = false},
    {.name = "blocks_4k",
     .shape =
         {.main_size = kMiB, .main_logical = 4096, .spare_logical = 4096, .spare_physical = 4096}},
    // The table grew to its end while the first page's entries moved.
    {.name = "pages_16k",
     .shape = {.main_size = 3 * kMiB + kSector, .spare_physical = 16384},
     .remaps = 600,
     .closed = false},
    {.name = "grown", .shape = {.main_size = 5 * kMiB + 3 * kSector}, .remaps = 1100},
};

// Killed when a commit had reached one copy of its page, after the other had refused it.
inline const Past kOneCopyBehind = {.name = "one_copy_behind",
                                    .shape = {.main_size = kMiB + 3 * kSector},
                                    .closed = false,
                                    .one_copy_behind = true};

// What GoogleTest prints of a parameter.
inline void PrintTo(const Past& past, std::ostream* out) { *out << past.name; }

}  // namespace dmremap::test
