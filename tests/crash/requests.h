// SPDX-License-Identifier: GPL-2.0-or-later
// What the user of a recorded life asks for.
#pragma once

#include "tests/crash/world.h"

namespace dmremap::test {

// Some sectors of a block, or a block, or it and its neighbour.
void plain_request(World& world, Op op);
// Bytes that begin and end anywhere in a block.
void odd_bytes(World& world);
// Some or all of a block with lost sectors; or a part of a lost sector, which is EIO.
void write_lost(World& world);
void remap_or_unmap(World& world);
// Main gives some lost sectors back, and they are asked for.
void salvage(World& world);
// Requests to several blocks, in flight together: they end in any order, and what they need of the
// healer shares a commit.
void many_at_once(World& world);
// A write to a slot lies in the drive while another region relocates, commits and is flushed.
void under_way_elsewhere(World& world);

}  // namespace dmremap::test
