// SPDX-License-Identifier: GPL-2.0-or-later
// What a scan finds on the spare's own metadata: repaired where a copy or memory knows what it
// said, told of where it cannot be, left alone where the spare cannot be asked.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "tests/support/test_pair.h"

namespace dmremap::test {

TEST(Scan, P4_DamagedCopiesOfMetadataAreRestored) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(800, 8).changed, 1u);
    const dmr_superblock sb = pair.superblock();
    const auto garbage = pattern(99, 8, 7);
    pair.spare->poke(dmr_page_offset(&sb, 1, 0), garbage.data(), garbage.size());
    pair.spare->poke(dmr_copy_offsets[1], garbage.data(), garbage.size());
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_TRUE(pair.saw(EventKind::metadata_repaired));
    EXPECT_EQ(pair.spare->peek(dmr_page_offset(&sb, 0, 0), kBlock),
              pair.spare->peek(dmr_page_offset(&sb, 1, 0), kBlock));
    dmr_superblock copy;
    std::memcpy(&copy, pair.spare->peek(dmr_copy_offsets[1], sizeof(copy)).data(), sizeof(copy));
    EXPECT_EQ(dmr_superblock_verdict(&copy, dmr_copy_offsets[1]), DMR_OK);
    EXPECT_FALSE(pair.has_cause("retired_pages"));
}

TEST(Scan, P4_TheLastGoodCopyIsNotRewritten) {
    for (const int damaged : {0, 1}) {
        TestPair pair;
        pair.fill_main(1);
        pair.format();
        pair.open();
        ASSERT_EQ(pair.disk->remap(800, 8).changed, 1u);
        const dmr_superblock sb = pair.superblock();
        const auto garbage = pattern(99, 8, 7);
        pair.spare->poke(dmr_page_offset(&sb, damaged, 0), garbage.data(), garbage.size());
        std::atomic<unsigned> writes{0};
        pair.spare->set_hook([&](const Call& call) {
            writes += call.op == Op::write && pair.table_copy(call.offset) == 1 - damaged ? 1 : 0;
            return Medium::kPass;
        });
        ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
        ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
        pair.spare->set_hook(nullptr);
        EXPECT_TRUE(pair.saw(EventKind::metadata_repaired));
        EXPECT_EQ(writes, 0u);
    }
}

// Memory knows what they said; without it the spare would not open again.
TEST(Scan, P4_APageWithoutAGoodCopyIsWrittenFromMemory) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(800, 8).changed, 1u);
    const dmr_superblock sb = pair.superblock();
    const auto garbage = pattern(99, 8, 7);
    for (const int copy : {0, 1})
        pair.spare->poke(dmr_page_offset(&sb, copy, 0), garbage.data(), garbage.size());
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_TRUE(pair.saw(EventKind::metadata_repaired));
    EXPECT_FALSE(pair.has_cause("retired_pages"));
    pair.crash();
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, 800, 8), pattern(800, 8, 1));
}

// Neither copy takes it: what lives there moves, and people are told not to let go of the disk.
TEST(Scan, P4_APageThatTakesNoGoodCopyIsToldOf) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(800, 8 * 140).changed, 140u);  // more than a page
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t first = dmr_page_offset(&sb, 0, 0), second = dmr_page_offset(&sb, 1, 0);
    const auto garbage = pattern(99, 8, 7);
    pair.spare->poke(first, garbage.data(), garbage.size());
    pair.spare->poke(second, garbage.data(), garbage.size());
    pair.spare->set_hook([=](const Call& call) {
        const bool there = call.offset == first || call.offset == second;
        return call.op == Op::write && there ? EIO : Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_TRUE(pair.has_cause("lost_pages"));
    pair.disk->salvage();  // waits for the moves
    EXPECT_EQ(read_sectors(*pair.disk, 800, 8 * 140), pattern(800, 8 * 140, 1));
    pair.spare->set_hook(nullptr);
}

// A spare that does not answer says nothing against its pages.
TEST(Scan, P6_ASpareThatIsGoneRetiresNoPage) {
    for (const int error : {ENODEV, ENOMEM}) {
        TestPair pair;
        pair.fill_main(1);
        pair.format();
        pair.open();
        ASSERT_EQ(pair.disk->remap(800, 8).changed, 1u);
        pair.spare->set_hook([&pair, error](const Call& call) {
            return call.op == Op::read && pair.table_copy(call.offset) >= 0 ? error : Medium::kPass;
        });
        ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
        ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
        pair.spare->set_hook(nullptr);
        EXPECT_EQ(pair.disk->status().retired_pages, 0u);
        EXPECT_EQ(read_sectors(*pair.disk, 800, 8), pattern(800, 8, 1));
    }
}

// No superblock copy can be read just then: there is no order in which to write them, so none is.
TEST(Scan, P4_SuperblocksThatCannotBeReadAreNotRewritten) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    const dmr_superblock sb = pair.superblock();
    const auto is_copy = [&sb](std::uint64_t offset) {
        const unsigned copies = dmr_copies(dmr_le64(sb.spare_size));
        return std::find(dmr_copy_offsets, dmr_copy_offsets + copies, offset) !=
               dmr_copy_offsets + copies;
    };
    std::atomic<bool> asked{false};
    pair.spare->set_hook([&](const Call& call) {
        if (!is_copy(call.offset)) return Medium::kPass;
        if (call.op == Op::read) {
            asked = true;
            return EIO;
        }
        return Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    pair.spare->set_hook(nullptr);
    EXPECT_TRUE(asked);
    EXPECT_FALSE(pair.saw(EventKind::metadata_repaired));
    pair.crash();
    pair.open();
}

}  // namespace dmremap::test
