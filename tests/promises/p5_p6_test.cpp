// SPDX-License-Identifier: GPL-2.0-or-later
// P5: a transient error destroys nothing. P6: a dying cable does not eat the spare.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

TEST(Promises, P5_MainKeepsItsDataAndRetrySectorsComeBack) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->apply("main bad read 1003+2\n");
    read_sectors(*pair.disk, 1000, 8, EIO);
    EXPECT_EQ(pair.main->snapshot(), pattern(0, pair.sectors(), 1)) << "main was written to";
    const auto remap = pair.remap_of(125);
    ASSERT_TRUE(remap);
    EXPECT_EQ(remap->lost, 0x18);
    EXPECT_EQ(remap->retry, 0x18);
    EXPECT_EQ(pair.disk->salvage(), 0u);
    pair.reopen();
    pair.plan->apply("heal main 1003\n");
    EXPECT_EQ(pair.disk->salvage(), 1u);
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 4), pattern(1000, 4, 1));
    read_sectors(*pair.disk, 1004, 1, EIO);
    pair.plan->apply("main clear\n");
    EXPECT_EQ(pair.disk->salvage(), 1u);
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 8), pattern(1000, 8, 1));
    EXPECT_EQ(pair.disk->status().state, State::healthy);
    EXPECT_TRUE(pair.saw(EventKind::salvaged));
    pair.reopen();
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 8), pattern(1000, 8, 1));
}

// What comes back shares a physical block of the spare with sectors that were never lost. The power
// goes off at each call of the salvage: these must be there, whatever the cut garbled.
TEST(Promises, P5_ASalvagePutsNoGoodSectorUnderThePen) {
    bool came_back = false;
    for (std::uint64_t cut = 1;; ++cut) {
        for (std::uint64_t seed = 0; seed < 8; ++seed) {
            SCOPED_TRACE("power off at call " + std::to_string(cut) + ", seed " +
                         std::to_string(seed));
            TestPair pair(Shape{.spare_physical = 4096});
            pair.fill_main(1);
            pair.format();
            pair.set_cache(true);
            pair.spare->set_tears(true);
            pair.open();
            pair.plan->apply("main bad read 1003\n");
            read_sectors(*pair.disk, 1003, 1, EIO);
            ASSERT_TRUE(pair.remap_of(125));
            pair.plan->apply("main clear\n");
            pair.power->cut_at(cut);
            pair.disk->salvage();
            const bool whole = !pair.power->off();
            std::mt19937_64 chance(seed);
            pair.crash(&chance);
            ASSERT_NO_THROW(pair.open());
            EXPECT_EQ(read_sectors(*pair.disk, 1000, 3), pattern(1000, 3, 1));
            EXPECT_EQ(read_sectors(*pair.disk, 1004, 4), pattern(1004, 4, 1));
            if (pair.remap_of(125)->lost == 0) {
                came_back = true;
                EXPECT_EQ(read_sectors(*pair.disk, 1000, 8), pattern(1000, 8, 1));
            }
            if (testing::Test::HasFailure()) return;
            if (whole) {
                EXPECT_TRUE(came_back);
                return;
            }
        }
    }
}

TEST(Promises, P5_AnErrorThatPassesAtTheSecondTryRelocatesNothing) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->apply("main bad all 1003 times=1\n");
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 8), pattern(1000, 8, 1));
    pair.plan->apply("main bad all 2003 times=1\n");
    EXPECT_EQ(write_sectors(*pair.disk, 2000, 8, 2), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 2000, 8), pattern(2000, 8, 2));
    // The request fails, the block by itself, and then none of its sectors.
    pair.plan->apply("main bad write 3003 times=2\n");
    EXPECT_EQ(write_sectors(*pair.disk, 3000, 8, 2), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 3000, 8), pattern(3000, 8, 2));
    EXPECT_EQ(pair.disk->status().active_mappings, 0u);
}

TEST(Promises, P5_AnUnreadableSlotKeepsItsMapping) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->apply("main bad write 1000+8\n");
    EXPECT_EQ(write_sectors(*pair.disk, 1000, 8, 2), 0);
    const auto remap = pair.remap_of(125);
    ASSERT_TRUE(remap);
    const std::string slot = std::to_string(remap->spare_sector + 3);
    pair.plan->apply("spare bad read " + slot + "\n");
    read_sectors(*pair.disk, 1000, 8, EIO);
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 3), pattern(1000, 3, 2));
    const auto after = pair.remap_of(125);
    ASSERT_TRUE(after);
    EXPECT_EQ(after->slot, remap->slot);
    EXPECT_EQ(after->lost, 0);
    pair.reopen();
    read_sectors(*pair.disk, 1003, 1, EIO);
    pair.plan->apply("heal spare " + slot + "\n");
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 8), pattern(1000, 8, 2));
}

// A slot takes no more writes, and a sector of it that the write leaves alone can not be read now.
TEST(Promises, P5_AMoveDoesNotMakeUpWhatItCannotRead) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->apply("main bad write 1000+8\n");
    EXPECT_EQ(write_sectors(*pair.disk, 1000, 8, 2), 0);
    const auto remap = pair.remap_of(125);
    ASSERT_TRUE(remap);
    pair.plan->apply("spare bad write " + std::to_string(remap->spare_sector + 2) + "\n");
    pair.plan->apply("spare bad read " + std::to_string(remap->spare_sector + 5) + "\n");
    const bool written = write_sectors(*pair.disk, 1002, 1, 3) == 0;
    read_sectors(*pair.disk, 1005, 1, EIO);
    EXPECT_EQ(read_sectors(*pair.disk, 1002, 1), pattern(1002, 1, written ? 3 : 2));
    pair.plan->apply("spare clear\n");
    // If the block is still in its slot its data is there again; nothing else may be read.
    const bool kept = pair.remap_of(125)->slot == remap->slot;
    const auto got = read_sectors(*pair.disk, 1005, 1, kept ? 0 : EIO);
    if (kept) {
        EXPECT_EQ(got, pattern(1005, 1, 2));
    }
    EXPECT_EQ(read_sectors(*pair.disk, 1006, 2), pattern(1006, 2, 2));
}

TEST(Promises, P6_ResourceErrorsRelocateNothing) {
    for (const char* error : {"ENOMEM", "EAGAIN", "EBUSY"}) {
        SCOPED_TRACE(error);
        TestPair pair;
        pair.fill_main(1);
        pair.format();
        pair.open();
        pair.plan->apply(std::string("main bad all 1000+8 error=") + error + "\n");
        EXPECT_NE(write_sectors(*pair.disk, 1000, 8, 2), 0);
        std::vector<std::byte> block(kBlock);
        EXPECT_NE(pair.disk->read(1000 * kSector, block.data(), kBlock), 0);
        EXPECT_EQ(pair.disk->status().active_mappings, 0u);
        EXPECT_EQ(pair.disk->status().lost_sectors, 0u);
    }
}

// They pass: a request waits for that a little before it fails.
TEST(Promises, P6_ResourceErrorsAreTriedAgain) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->apply("main bad all 1000+8 error=EAGAIN times=4\n");
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 8), pattern(1000, 8, 1));
    EXPECT_EQ(pair.disk->status().active_mappings, 0u);
}

TEST(Promises, P6_MediumErrorsAllRelocate) {
    for (const char* error : {"EIO", "ENODATA", "EILSEQ", "EREMOTEIO", "ETIMEDOUT"}) {
        SCOPED_TRACE(error);
        TestPair pair;
        pair.fill_main(1);
        pair.format();
        pair.open();
        pair.plan->apply(std::string("main bad write 1000+8 error=") + error + "\n");
        EXPECT_EQ(write_sectors(*pair.disk, 1000, 8, 2), 0);
        EXPECT_EQ(pair.disk->status().active_mappings, 1u);
    }
}

TEST(Promises, P6_ADeviceThatIsGoneRelocatesNothing) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->apply("main vanish\n");
    std::vector<std::byte> block(kBlock);
    for (std::uint64_t s = 0; s < pair.sectors(); s += 256) {
        EXPECT_NE(pair.disk->read(s * kSector, block.data(), kBlock), 0);
        EXPECT_NE(write_sectors(*pair.disk, s, 8, 2), 0);
    }
    EXPECT_EQ(pair.disk->status().active_mappings, 0u);
    EXPECT_TRUE(pair.saw(EventKind::device_gone) || pair.saw(EventKind::breaker_tripped));
    EXPECT_NE(pair.disk->status().state, State::healthy);
}

TEST(Promises, P6_ErrorsEverywhereTripTheBreaker) {
    constexpr std::uint64_t kRegions = 96;
    TestPair pair({.main_size = kRegions << 20});
    pair.format();
    pair.open();
    for (const char* kind : {"read", "write"}) {
        SCOPED_TRACE(kind);
        pair.plan->apply(std::string("main bad ") + kind + " *\n");
        std::vector<std::byte> block(kBlock);
        for (std::uint64_t region = 0; region < kRegions; ++region) {
            const std::uint64_t offset = (region << 20) + 40 * kBlock;
            if (std::string(kind) == "read")
                EXPECT_EQ(pair.disk->read(offset, block.data(), kBlock), EIO);
            else
                pair.disk->write(offset, block.data(), kBlock);
        }
        const std::uint64_t limit = dmr_le32(pair.superblock().breaker_regions);
        EXPECT_LE(pair.disk->status().active_mappings, limit);
        EXPECT_TRUE(pair.saw(EventKind::breaker_tripped));
        EXPECT_TRUE(pair.has_cause("breaker"));
        EXPECT_NE(pair.disk->write(0, block.data(), kBlock) == 0, std::string(kind) == "write");
        // What is not relocated is not lost either: the cable is back, all can be read.
        pair.plan->apply("main clear\n");
        for (std::uint64_t offset = 40 * kBlock; offset < pair.main->size(); offset += 1 << 20)
            pair.disk->read(offset, block.data(), kBlock);
        pair.disk->salvage();
        EXPECT_EQ(pair.disk->status().lost_sectors, 0u);
        pair.reopen();
    }
}

// Bad spots among good blocks are what the spare is for, however many regions they lie in.
TEST(Promises, P6_BadSpotsAmongGoodBlocksDoNotTripTheBreaker) {
    constexpr std::uint64_t kRegions = 96;
    TestPair pair({.main_size = kRegions << 20});
    pair.format();
    pair.open();
    for (std::uint64_t region = 0; region < kRegions; ++region) {
        const std::uint64_t sector = (region << 11) + 64;
        pair.plan->apply("main bad write " + std::to_string(sector) + "\n");
        EXPECT_EQ(write_sectors(*pair.disk, sector, 8, 2), 0);
        EXPECT_EQ(write_sectors(*pair.disk, sector + 8, 8, 2), 0);
    }
    EXPECT_EQ(pair.disk->status().active_mappings, kRegions);
    EXPECT_FALSE(pair.saw(EventKind::breaker_tripped));
}

}  // namespace
}  // namespace dmremap::test
