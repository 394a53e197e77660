// SPDX-License-Identifier: GPL-2.0-or-later
// Every crash point: see cutter.h for which, judge.h for what is asked of each.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/crash/format_proof.h"
#include "tests/crash/proof.h"
#include "tests/support/long_runs.h"

namespace dmremap::test {

// What GoogleTest prints of a parameter.
static void PrintTo(const Profile& profile, std::ostream* out) { *out << profile.name; }

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kStatesOfOne = 2'500;  // of the bounded form
constexpr std::uint64_t kStatesOfLife = 25'000;

const Profile kProfiles[] = {
    {"plain", {.main_size = kMiB}},
    // Two regions; the last block has three sectors.
    {"odd_size", {.main_size = 3 * kMiB / 2 + 7 * kBlock + 3 * kSector}},
    {"main_4k", {.main_size = 2 * kMiB, .main_logical = 4096, .spare_physical = 4096}},
    {"both_4k",
     {.main_size = kMiB, .main_logical = 4096, .spare_logical = 4096, .spare_physical = 4096}},
    {"pages_16k", {.main_size = 2 * kMiB, .spare_physical = 16384}},
    {"four_regions", {.main_size = 4 * kMiB, .spare_physical = 4096}},
};

Goal goal_of_one() {
    Goal goal;
    const std::uint64_t states = from_environment("DMREMAP_STATES", 0);
    const std::uint64_t seconds = from_environment("DMREMAP_SECONDS", 0);
    const bool bounded = states == 0 && seconds == 0;
    goal.first_seed = first_seed();
    goal.states =
        bounded ? kStatesOfOne : (states + std::size(kProfiles) - 1) / std::size(kProfiles);
    goal.seconds = static_cast<double>(seconds) / static_cast<double>(std::size(kProfiles));
    goal.states_of_life = goal.states == 0 ? kStatesOfLife : std::min(kStatesOfLife, goal.states);
    if (const char* const path = std::getenv("DMREMAP_CUT")) goal.path = path;
    goal.signature = from_environment("DMREMAP_TAPE", 0);
    return goal;
}

class Crash : public testing::TestWithParam<Profile> {};

TEST_P(Crash, States) {
    std::ostringstream summary;
    EXPECT_EQ(prove(GetParam(), goal_of_one(), summary), "");
    std::cout << summary.str();
}

TEST_P(Crash, Format) {
    std::ostringstream summary;
    const Goal goal = goal_of_one();
    const std::size_t choices = goal.states == kStatesOfOne ? 8 : 64;
    EXPECT_EQ(prove_format(GetParam(), goal.first_seed, choices, summary), "");
    std::cout << summary.str();
}

INSTANTIATE_TEST_SUITE_P(Shapes, Crash, testing::ValuesIn(kProfiles),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
