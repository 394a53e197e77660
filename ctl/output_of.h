// SPDX-License-Identifier: GPL-2.0-or-later
// What another program prints, without trust in its ever ending.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace dmremap::ctl {

// Runs words[0], looked for in PATH, with the other words, nothing to read and no place for its
// errors, and returns all that it printed by the time it closed its standard output. Nothing where
// it cannot be run, prints more than `most` bytes or has not come to its end in `time`. Its exit
// code is not looked at. It and what it started are killed by then; who does not even end of that,
// since it asks a disk that does not answer, is not waited for. Any thread.
std::string output_of(const std::vector<std::string>& words, std::size_t most,
                      std::chrono::milliseconds time);

}  // namespace dmremap::ctl
