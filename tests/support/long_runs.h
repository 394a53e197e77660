// SPDX-License-Identifier: GPL-2.0-or-later
// How long a test that could go on for ever goes on, and where it begins, as the environment says.
//
//   DMREMAP_SEED=N      repeats what a failure printed; the run is that seed's alone
//   DMREMAP_SECONDS=S   goes on with fresh seeds until so much time has passed
//   DMREMAP_OPS=N       so many operations in all; crash states: DMREMAP_STATES=N
//
// Without a time a test does the same in each run: who breaks it has changed something. The long
// runs look for what nobody thought of.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>

namespace dmremap::test {

inline std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

inline bool is_replay() { return std::getenv("DMREMAP_SEED") != nullptr; }

// The first seed; those after it follow.
inline std::uint64_t first_seed() {
    const bool fresh = std::getenv("DMREMAP_SECONDS") != nullptr;
    return from_environment("DMREMAP_SEED", fresh ? std::random_device{}() : 1);
}

// When the time is over, of which this test has one share of so many; now, if none was given.
inline std::chrono::steady_clock::time_point end_of_time(std::uint64_t shares = 1) {
    return std::chrono::steady_clock::now() +
           std::chrono::milliseconds(from_environment("DMREMAP_SECONDS", 0) * 1000 / shares);
}

}  // namespace dmremap::test
