// SPDX-License-Identifier: GPL-2.0-or-later
// Tells a spare that its main, or it itself, goes by another identity from now on.
#pragma once

#include <string>

#include "core/device/device.h"

namespace dmremap {

struct RebindOptions {
    // Go on although the witness cannot prove that main holds the same data, or although the spare
    // itself is another device: nothing can prove that a copy of a spare is not an old one.
    bool force = false;
    // Go on although another machine's mark is on the spare, where it stays.
    bool take_over = false;
};

// What was accepted, in words ("serial was A, is B"); "" where nothing had to be.
struct Rebound {
    std::string main;
    std::string spare;
};

// Records the present identity of the one that would be refused, or of both. Throws Refusal: size
// differs, what wants `force` is not forced, in use. Nothing has been written then.
Rebound rebind_spare(Device& main, Device& spare, const RebindOptions& options);

}  // namespace dmremap
