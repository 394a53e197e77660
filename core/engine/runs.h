// SPDX-License-Identifier: GPL-2.0-or-later
// Cutting a piece into runs: stretches that lie wholly on main or on consecutive slots.
#pragma once

#include <cstdint>
#include <vector>

#include "core/device/device.h"
#include "core/engine/context.h"
#include "core/engine/piece.h"

namespace dmremap {

struct Run {
    Io io;
    Piece* piece = nullptr;
    bool on_spare = false;
};

struct RunSet {
    std::vector<Run> runs;  // not resized once submitted
};

enum class Cut : std::uint8_t {
    all_main,   // no remap in the way: one run on main
    runs,       // piece.runs is filled
    lost,       // the piece touches what nobody can read: EIO
    exclusive,  // lost marks must be cleared, or parts of blocks merged: behind a closed gate
};

// Inside the gate of the piece's region, which holds remaps. Offsets are aligned to logical blocks.
// Throws bad_alloc.
Cut cut_into_runs(const Context& disk, Piece& piece);

}  // namespace dmremap
