// SPDX-License-Identifier: GPL-2.0-or-later
// A million random operations, in runs on fresh pairs of several shapes, judged by the oracle.
//
// How many, and from which seed: tests/support/long_runs.h. A run does its requests one after the
// other, so a seed repeats exactly as far as the disk itself does.
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "tests/property/random_run.h"
#include "tests/support/long_runs.h"

namespace dmremap::test {

// What GoogleTest prints of a parameter.
static void PrintTo(const Profile& profile, std::ostream* out) { *out << profile.name; }

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kOperationsOfAll = 1'050'000;
constexpr std::uint64_t kOperationsOfRun = 10'000;

const Profile kProfiles[] = {
    {.name = "plain", .shape = {}},
    // Neither a multiple of a region nor of a block: the last block has three sectors.
    {.name = "odd_size", .shape = {.main_size = 5 * kMiB / 2 + 7 * kBlock + 3 * kSector}},
    {.name = "main_4k",
     .shape = {.main_size = 3 * kMiB + 5 * kBlock, .main_logical = 4096, .spare_physical = 4096}},
    {.name = "both_4k",
     .shape = {.main_logical = 4096, .spare_logical = 4096, .spare_physical = 4096}},
    {.name = "pages_16k", .shape = {.main_size = 4 * kMiB + kSector, .spare_physical = 16384}},
    // More blocks than slots, and they all go bad.
    {.name = "filling",
     .shape = {.main_size = 12 * kMiB},
     .main_fault = 500,
     .main_heal = 10,
     .spot = 1024},
    // Little happens, so that each single fault meets a disk that is otherwise whole.
    {.name = "calm",
     .shape = {},
     .main_fault = 20,
     .slot_fault = 3,
     .meta_fault = 1,
     .storm = 0,
     .flush_fault = 0},
};

class Random : public testing::TestWithParam<Profile> {};

TEST_P(Random, Operations) {
    const Profile& profile = GetParam();
    const std::uint64_t all = from_environment("DMREMAP_OPS", kOperationsOfAll);
    const std::uint64_t share = (all + std::size(kProfiles) - 1) / std::size(kProfiles);
    std::uint64_t seed = first_seed();
    std::cout << profile.name << ": seeds from " << seed << "\n";
    RunResult sum;
    const auto until = end_of_time(std::size(kProfiles));
    for (std::uint64_t done = 0; done < share || std::chrono::steady_clock::now() < until; ++seed) {
        const RunResult one = random_run(profile, seed, std::min(share, kOperationsOfRun));
        ASSERT_EQ(one.problem, "") << "DMREMAP_SEED=" << seed << " repeats it";
        done += one.operations;
        sum.operations += one.operations;
        sum.remaps += one.remaps;
        sum.moves += one.moves;
        sum.opened += one.opened;
        sum.filled |= one.filled;
        sum.breaker |= one.breaker;
        sum.seen.read_errors += one.seen.read_errors;
        sum.seen.write_errors += one.seen.write_errors;
        sum.seen.no_space += one.seen.no_space;
        sum.seen.settled += one.seen.settled;
        sum.seen.lost += one.seen.lost;
        sum.seen.salvaged += one.seen.salvaged;
        sum.seen.by_hand += one.seen.by_hand;
        sum.seen.unmapped += one.seen.unmapped;
        sum.seen.refused += one.seen.refused;
        if (is_replay()) break;
    }
    std::cout << profile.name << ": " << sum.operations << " operations, " << sum.remaps
              << " remaps, " << sum.moves << " moves, " << sum.seen.read_errors << " failed reads, "
              << sum.seen.write_errors << " failed writes (" << sum.seen.no_space
              << " for want of slots), " << sum.seen.lost << " sectors lost at a time, "
              << sum.seen.salvaged << " salvaged, " << sum.seen.settled << " settled, "
              << sum.seen.by_hand << " blocks remapped and " << sum.seen.unmapped
              << " unmapped by hand (" << sum.seen.refused << " refused), opened again "
              << sum.opened << " times" << (sum.filled ? ", spare filled" : "")
              << (sum.breaker ? ", breaker tripped" : "") << "\n";
    if (is_replay() || share < 10 * kOperationsOfRun) return;
    // A run in which nothing happens proves nothing.
    EXPECT_GT(sum.remaps, 20u);
    EXPECT_GT(sum.seen.read_errors, 0u);
    EXPECT_GT(sum.seen.unmapped, 0u);
    EXPECT_GT(sum.opened, 4u);
    EXPECT_EQ(sum.filled, std::string(profile.name) == "filling");
}

INSTANTIATE_TEST_SUITE_P(Shapes, Random, testing::ValuesIn(kProfiles),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
