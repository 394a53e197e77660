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
    one_run,    // piece.io and piece.on_spare say which
    runs,       // piece.runs is filled
    nothing,    // no device has to be asked: a discard of nothing but slots
    lost,       // the piece touches what nobody can read: EIO
    exclusive,  // lost marks must be cleared, or parts of blocks merged: behind a closed gate
};

// Inside the gate of the piece's region, which holds remaps. Offsets are aligned to logical blocks.
// Throws bad_alloc, but not for what lies in one stretch.
Cut cut_into_runs(const Context& disk, Piece& piece);

}  // namespace dmremap
