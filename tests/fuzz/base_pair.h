// SPDX-License-Identifier: GPL-2.0-or-later
// Honest pairs to begin from, made once by the code under test: freshly formatted, used and closed
// in order, and used and left behind by a crash, each in some shapes of devices. The used ones hold
// remaps, lost and retry sectors, a bad slot, and where it crashed a superseded claim.
#pragma once

#include <memory>

#include "core/format.h"
#include "tests/fuzz/sparse_image.h"

namespace dmremap::fuzz {

struct BasePair {
    std::shared_ptr<SparseImage> main, spare;
    dmr_superblock geometry;

    BasePair copy() const;
};

enum class Past { formatted, closed, crashed };
constexpr unsigned kPasts = 3;
constexpr unsigned kShapes = 3;

// The numbers are taken modulo the constants. The pair is not to be changed but in a copy.
const BasePair& base_pair(unsigned past, unsigned shape);

}  // namespace dmremap::fuzz
