// SPDX-License-Identifier: GPL-2.0-or-later
// What the bytes of a spare say by core/FORMAT.md, found out a second time: plainly, slowly, and
// without the code under test. Of that only the layout of the structures, the places of the copies
// and the CRC itself are taken.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/format.h"
#include "tests/fuzz/sparse_image.h"

namespace dmremap::fuzz {

// Why a spare cannot have this geometry; "" when it can.
std::string impossible_geometry(const dmr_superblock& sb);

struct Claim {
    std::uint64_t slot = 0;
    std::uint64_t sequence = 0;
    std::uint8_t lost = 0, retry = 0;
};

struct SpareTruth {
    std::optional<dmr_superblock> superblock;  // the newest valid copy
    std::string refused;  // why a pair with this spare must not be opened for use; "" when it may
    std::vector<dmr_entry> entries;       // of the table, what counts of both copies
    std::map<std::uint64_t, Claim> live;  // by main block: the claim that wins
    std::vector<std::uint64_t> outdated;  // slots whose claim was superseded
    std::vector<std::uint64_t> mixed;     // pages with a piece of which each copy lacks something
    std::vector<std::uint64_t> stuck;     // entries of such pieces, by slot
    bool mendable = false;       // some page has a right copy of each piece, and a wrong one
    bool half_mendable = false;  // so, of some piece of a page that is mixed
};

SpareTruth truth_of(const SparseImage& spare);

}  // namespace dmremap::fuzz
