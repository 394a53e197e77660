// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/remap_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace dmremap {
namespace {

constexpr std::uint64_t kPerRegion = kRegionSize / DMR_BLOCK_SIZE;
constexpr std::uint64_t kSlots = 100000;

Remap remap(std::uint64_t block, std::uint64_t slot, std::uint8_t lost = 0) {
    Remap made;
    made.block = block;
    made.slot = slot & Remap::kFenced;
    made.lost = lost;
    return made;
}

TEST(RemapMap, TheFilterTellsRegionsApart) {
    RemapMap map(10 * kRegionSize + 4096, kSlots);
    for (std::uint64_t region = 0; region <= 10; region++) {
        EXPECT_FALSE(map.may_hold_remaps(region * kRegionSize));
    }
    map.put(remap(3 * kPerRegion, 1));
    map.put(remap(10 * kPerRegion, 2));  // the short last region
    for (std::uint64_t region = 0; region <= 10; region++) {
        EXPECT_EQ(map.may_hold_remaps(region * kRegionSize + 4095), region == 3 || region == 10);
    }
}

TEST(RemapMap, TheFilterIsOfTheRegionWhereverInItTheRemapIs) {
    for (const std::uint64_t block :
         {3 * kPerRegion, 3 * kPerRegion + 1, 4 * kPerRegion - 2, 4 * kPerRegion - 1}) {
        RemapMap map(10 * kRegionSize, kSlots);
        map.put(remap(block, 1));
        for (std::uint64_t region = 0; region < 10; region++) {
            EXPECT_EQ(map.may_hold_remaps(region * kRegionSize), region == 3) << block;
        }
    }
}

TEST(RemapMap, ALaterPutReplaces) {
    RemapMap map(kRegionSize, kSlots);
    map.put(remap(7, 100, 0x0f));
    map.put(remap(7, 101));
    ASSERT_TRUE(map.find(7) != nullptr);
    EXPECT_EQ(map.find(7)->slot, 101u);
    EXPECT_EQ(map.find(7)->lost, 0u);
    EXPECT_TRUE(map.next(map.find(7)) == nullptr);
    map.put(remap(7, Remap::kFenced));
    EXPECT_TRUE(map.find(7)->fenced());
}

TEST(RemapMap, LargeNumbersAreNotCut) {
    RemapMap map(1ull << 46, (1ull << 47) + 6);
    const std::uint64_t block = (1ull << 34) - 1, slot = (1ull << 47) + 5;
    map.put(remap(block, slot, 0xff));
    ASSERT_TRUE(map.find(block) != nullptr);
    EXPECT_EQ(map.find(block)->slot, slot);
    EXPECT_FALSE(map.find(block)->fenced());
    EXPECT_TRUE(map.find(block & 0xffffffff) == nullptr);
    EXPECT_TRUE(map.find(block - (1ull << 32)) == nullptr);
}

// A remap takes as many bytes as its numbers need: the largest of each width, beside a fence.
TEST(RemapMap, NumbersOfEveryWidthFit) {
    for (unsigned bits = 1; bits <= 28;
         bits++) {  // a terabyte: the filter of more is too large here
        for (unsigned slot_bits = 1; slot_bits <= 47; slot_bits++) {
            const std::uint64_t block = (std::uint64_t{1} << bits) - 1;
            const std::uint64_t slots = std::uint64_t{1} << slot_bits;
            RemapMap map((block + 1) * DMR_BLOCK_SIZE, slots);
            Remap most = remap(block, slots - 1, 0xa5);
            most.retry = 0x81;
            map.put(most);
            map.put(remap(block - 1, Remap::kFenced));
            ASSERT_TRUE(map.find(block) != nullptr);
            ASSERT_EQ(map.find(block)->slot, slots - 1);
            ASSERT_FALSE(map.find(block)->fenced());
            ASSERT_EQ(map.find(block)->lost, 0xa5u);
            ASSERT_EQ(map.find(block)->retry, 0x81u);
            ASSERT_TRUE(map.find(block - 1)->fenced());
        }
    }
}

TEST(RemapMap, FilledAtOnceItIsTheSame) {
    constexpr std::uint64_t kRegions = 3000;
    std::mt19937_64 rng(8);
    std::map<std::uint64_t, std::uint64_t> slot_of;
    std::vector<Remap> remaps;
    for (unsigned i = 0; i < 20000; i++) {
        const std::uint64_t block = rng() % (kRegions * kPerRegion);
        if (slot_of.emplace(block, i).second) {
            remaps.push_back(remap(block, i, static_cast<std::uint8_t>(i)));
        }
    }
    RemapMap filled(kRegions * kRegionSize, kSlots), put(kRegions * kRegionSize, kSlots);
    filled.fill([&](auto&& take) { std::ranges::for_each(remaps, take); });
    std::ranges::for_each(remaps, [&](const Remap& one) { put.put(one); });
    for (std::uint64_t block = 0; block < kRegions * kPerRegion; block++) {
        const FoundRemap one = filled.find(block), other = put.find(block);
        ASSERT_EQ(one == nullptr, other == nullptr);
        ASSERT_EQ(filled.may_hold_remaps(block * DMR_BLOCK_SIZE),
                  put.may_hold_remaps(block * DMR_BLOCK_SIZE));
        if (one != nullptr) {
            ASSERT_EQ(one->slot, slot_of.at(block));
            ASSERT_EQ(one->lost, other->lost);
        }
    }
}

TEST(RemapMap, AgreesWithAModel) {
    constexpr std::uint64_t kRegions = 3000;  // more than gates: some regions share one
    std::mt19937_64 rng(7);
    RemapMap map(kRegions * kRegionSize, kSlots);
    std::map<std::uint64_t, std::uint64_t> model;
    for (unsigned i = 0; i < 20000; i++) {
        const std::uint64_t block = rng() % (kRegions * kPerRegion);
        model[block] = i;
        map.put(remap(block, i));
    }
    for (unsigned i = 0; i < 20000; i++) {
        const std::uint64_t block = rng() % (kRegions * kPerRegion);
        const auto expected = model.find(block);
        const FoundRemap found = map.find(block);
        ASSERT_EQ(found != nullptr, expected != model.end());
        // All of the rest of the region, in order.
        const std::uint64_t end = (block / kPerRegion + 1) * kPerRegion;
        auto at = model.lower_bound(block);
        FoundRemap step = map.lower_bound(block);
        for (; at != model.end() && at->first < end; ++at, step = map.next(step)) {
            ASSERT_TRUE(step != nullptr);
            ASSERT_EQ(step->block, at->first);
            ASSERT_EQ(step->slot, at->second);
        }
        ASSERT_TRUE(step == nullptr || step->block >= end);
    }
}

}  // namespace
}  // namespace dmremap
