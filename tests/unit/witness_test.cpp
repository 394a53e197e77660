// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/witness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

dmr_superblock superblock(std::uint64_t main_size, std::uint64_t seed = 0) {
    dmr_superblock sb{};
    sb.main_size = dmr_to_le64(main_size);
    seed = dmr_to_le64(seed);
    std::memcpy(sb.uuid, &seed, sizeof(seed));
    sb.flags = dmr_to_le32(DMR_CLEAN);
    return sb;
}

bool none_remapped(std::uint64_t) { return false; }

struct Main {
    explicit Main(std::uint64_t size)
        : medium(std::make_shared<Medium>("MAIN-1", size, 512, 512, std::make_shared<Power>())),
          device(medium->device()),
          sb(superblock(size, 0x1234)) {
        const auto bytes = pattern(0, size / kSector, 1);
        medium->poke(0, bytes.data(), bytes.size());
    }
    void touch(std::uint64_t block) { medium->poke(block * kBlock + 100, "x", 1); }
    void unreadable(std::uint64_t block) {
        Fault fault;
        fault.read = true;
        medium->set_fault(block * DMR_SECTORS_PER_BLOCK, 1, fault);
    }

    std::shared_ptr<Medium> medium;
    std::unique_ptr<Device> device;
    dmr_superblock sb;
};

TEST(Witness, ItsBlocksLieOnMainEachOnce) {
    for (const std::uint64_t sectors : {1ull, 7ull, 8ull, 9ull, 80ull, 512ull, 520ull, 2176ull,
                                        8192ull, 1ull << 31, (1ull << 40) + 3}) {
        for (const std::uint64_t seed : {0ull, 1ull, 63ull, ~0ull}) {
            SCOPED_TRACE(sectors);
            const dmr_superblock sb = superblock(sectors * 512, seed);
            const auto blocks = witness_blocks(sb);
            const std::uint64_t count = dmr_main_blocks(&sb);
            EXPECT_GE(blocks.size(), std::min<std::uint64_t>(count, DMR_WITNESS_BLOCKS - 16));
            EXPECT_LE(blocks.size(), std::size_t{DMR_WITNESS_BLOCKS});
            EXPECT_LT(blocks.back(), count);
            EXPECT_TRUE(std::is_sorted(blocks.begin(), blocks.end()));
            EXPECT_EQ(std::set(blocks.begin(), blocks.end()).size(), blocks.size());
            EXPECT_EQ(blocks.front(), 0u);
            EXPECT_EQ(blocks.back(), count - 1);
        }
    }
}

TEST(Witness, TheUsualPlacesAreAmongThem) {
    const auto blocks = witness_blocks(superblock(1ull << 40, 77));
    const std::uint64_t end = (1ull << 40) / kBlock;
    for (const std::uint64_t usual :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{16},
          std::uint64_t{256}, std::uint64_t{257}, std::uint64_t{272}, end - 9, end - 1}) {
        EXPECT_TRUE(std::binary_search(blocks.begin(), blocks.end(), usual)) << usual;
    }
}

TEST(Witness, TheRestIsSpreadOverAllOfMain) {
    for (const std::uint64_t size : {4ull << 20, 1ull << 30, 1ull << 40}) {
        for (const std::uint64_t seed : {0ull, 5ull, ~0ull}) {
            const auto blocks = witness_blocks(superblock(size, seed));
            std::uint64_t widest = 0;
            for (std::size_t i = 1; i < blocks.size(); i++) {
                widest = std::max(widest, blocks[i] - blocks[i - 1]);
            }
            EXPECT_LE(widest, size / kBlock / 48) << "a stretch of main has no witness";
        }
    }
}

TEST(Witness, TwoPairsLookAtDifferentBlocks) {
    EXPECT_NE(witness_blocks(superblock(1ull << 40, 1)), witness_blocks(superblock(1ull << 40, 2)));
}

TEST(Witness, WhatIsUnchangedProves) {
    Main main(4 << 20);
    take_witness(*main.device, none_remapped, main.sb);
    EXPECT_TRUE(dmr_le32(main.sb.flags) & DMR_WITNESS);
    const WitnessResult result = check_witness(*main.device, main.sb);
    EXPECT_EQ(result.checked, witness_blocks(main.sb).size());
    EXPECT_EQ(result.different, 0u);
    EXPECT_TRUE(result.proves());
}

TEST(Witness, P7_EachChangedBlockIsNoticed) {
    Main main(4 << 20);
    take_witness(*main.device, none_remapped, main.sb);
    unsigned changed = 0;
    for (const std::uint64_t block : {0u, 16u, 1023u}) {
        main.touch(block);
        EXPECT_EQ(check_witness(*main.device, main.sb).different, ++changed);
        EXPECT_FALSE(check_witness(*main.device, main.sb).proves());
    }
}

TEST(Witness, TheShortLastBlockIsPartOfIt) {
    Main main((4 << 20) + 1536);
    take_witness(*main.device, none_remapped, main.sb);
    EXPECT_TRUE(check_witness(*main.device, main.sb).proves());
    main.medium->poke((4 << 20) + 1535, "x", 1);
    EXPECT_EQ(check_witness(*main.device, main.sb).different, 1u);
}

TEST(Witness, RemappedAndUnreadableBlocksAreLeftOut) {
    Main main(4 << 20);
    main.unreadable(16);
    take_witness(
        *main.device, [](std::uint64_t block) { return block == 0; }, main.sb);
    const std::size_t expected = witness_blocks(main.sb).size() - 2;
    EXPECT_EQ(check_witness(*main.device, main.sb).checked, expected);
    main.touch(0);
    main.medium->heal_all();
    main.touch(16);
    EXPECT_TRUE(check_witness(*main.device, main.sb).proves());
    main.unreadable(1);  // what became unreadable since proves nothing, but is no change
    EXPECT_EQ(check_witness(*main.device, main.sb).checked, expected - 1);
    EXPECT_TRUE(check_witness(*main.device, main.sb).proves());
}

TEST(Witness, WithoutAReadableBlockThereIsNone) {
    Main main(4 << 20);
    take_witness(*main.device, none_remapped, main.sb);
    main.medium->set_hook([](const Call&) { return EIO; });
    take_witness(*main.device, none_remapped, main.sb);
    EXPECT_FALSE(dmr_le32(main.sb.flags) & DMR_WITNESS);
    EXPECT_EQ(check_witness(*main.device, main.sb).checked, 0u);
}

TEST(Witness, ItCountsOnlyAfterACleanClose) {
    Main main(4 << 20);
    take_witness(*main.device, none_remapped, main.sb);
    main.sb.flags = dmr_to_le32(DMR_WITNESS);
    EXPECT_EQ(check_witness(*main.device, main.sb).checked, 0u);
    main.sb.flags = dmr_to_le32(DMR_CLEAN);
    EXPECT_EQ(check_witness(*main.device, main.sb).checked, 0u);
}

TEST(Witness, P8_BlocksOutsideOfMainAreIgnored) {
    Main main(4 << 20);
    take_witness(*main.device, none_remapped, main.sb);
    main.sb.witness[0].block = dmr_to_le64(~std::uint64_t{0});
    main.sb.witness[1].block = dmr_to_le64(std::uint64_t{1024});
    main.sb.witness[2].valid = dmr_to_le32(7u);
    EXPECT_EQ(check_witness(*main.device, main.sb).checked, witness_blocks(main.sb).size() - 3);
}

}  // namespace
}  // namespace dmremap::test
