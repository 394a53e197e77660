// SPDX-License-Identifier: GPL-2.0-or-later
// The steps in which the entry table comes into being.
//
// Formatting initialises only the first step; further ones follow when they are needed: initialise
// both copies, flush, raise table_ready in all superblock copies, flush, only then use. So entries
// at or above table_ready are never in use, and formatting and opening cost what is used.
#pragma once

#include <cstdint>
#include <vector>

#include "core/device/device.h"
#include "core/format.h"

namespace dmremap {

// Pages the table has after the step that follows `ready` entries (0: the first step). May lie
// beyond the table's end; the caller clips.
std::uint64_t next_table_step(const dmr_superblock& sb, std::uint64_t ready);

// Writes free entries to both copies of the pages [first, first + count); the caller flushes.
// bad[i] is set when the medium of copy 0 (bit 0) or copy 1 (bit 1) of page first + i does not take
// it. Returns the errno of a write that failed for another reason: then it went no further.
int initialise_pages(Device& spare, const dmr_superblock& sb, std::uint64_t first,
                     std::uint64_t count, std::vector<std::uint8_t>& bad);

}  // namespace dmremap
