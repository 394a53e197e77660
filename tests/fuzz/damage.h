// SPDX-License-Identifier: GPL-2.0-or-later
// What a fuzz input does to a spare before anybody opens it: a number of patches, each a kind and
// its numbers. A patch may put the right checksum on what it changed, or the fuzzer would never get
// behind the first check.
#pragma once

#include "core/format.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/sparse_image.h"

namespace dmremap::fuzz {

// One superblock copy or entry with its right checksum.
void put_superblock(SparseImage& spare, unsigned copy, dmr_superblock sb);
void put_entry(SparseImage& spare, const dmr_superblock& geometry, int copy, std::uint64_t slot,
               dmr_entry entry);

// Entries and pages alone.
void damage_table(Input& input, SparseImage& spare, const dmr_superblock& geometry);

// Anything on the spare.
void damage_spare(Input& input, SparseImage& spare, const dmr_superblock& geometry);

}  // namespace dmremap::fuzz
