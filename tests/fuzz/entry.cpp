// SPDX-License-Identifier: GPL-2.0-or-later
// The function that libFuzzer, or the replay in its place, calls with the bytes of one input.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    dmremap::fuzz::Input input(data, size);
    dmremap::fuzz::one_input(input);
    return 0;
}
