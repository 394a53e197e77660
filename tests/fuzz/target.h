// SPDX-License-Identifier: GPL-2.0-or-later
// What each fuzz_NAME.cpp defines: what is done with one input. Nothing outlives the call but what
// is the same for every input. entry.cpp calls it, for libFuzzer and for the replay.
#pragma once

#include "tests/fuzz/input.h"

namespace dmremap::fuzz {

void one_input(Input& input);

}  // namespace dmremap::fuzz
