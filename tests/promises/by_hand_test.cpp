// SPDX-License-Identifier: GPL-2.0-or-later
// Remapping and unmapping by hand: what must hold of the way back to main, where a block's newest
// record on the spare goes and nothing may be left that speaks in its place.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/engine/gates.h"
#include "core/refusal.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

namespace {

constexpr std::uint64_t kBlockNo = 10;
constexpr std::uint64_t kSectorNo = kBlockNo * 8;

// Block 10 in a slot with version 2, main healthy again and holding version 1.
void remapped_block(TestPair& pair) {
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(kSectorNo, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, kSectorNo, 8, 2), 0);
    ASSERT_TRUE(pair.remap_of(kBlockNo));
    pair.main->heal_all();
}

void expect_version(TestPair& pair, std::uint32_t version) {
    EXPECT_EQ(read_sectors(*pair.disk, kSectorNo, 8), pattern(kSectorNo, 8, version));
}

TEST(Promises, P1_UnmapBringsTheDataBackToMain) {
    TestPair pair;
    remapped_block(pair);
    const RangeResult result = pair.disk->unmap(kSectorNo + 3, 1);
    EXPECT_EQ(result.changed, 1u);
    EXPECT_EQ(result.error, 0);
    EXPECT_TRUE(pair.saw(EventKind::unmapped));
    EXPECT_TRUE(pair.remaps().empty());
    EXPECT_EQ(pair.main->peek(kSectorNo * kSector, kBlock), pattern(kSectorNo, 8, 2));
    expect_version(pair, 2);
    ASSERT_EQ(write_sectors(*pair.disk, kSectorNo, 8, 3), 0);
    // Its slot goes to another block, and both keep their own.
    pair.main->set_fault(800, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 800, 8, 7), 0);
    expect_version(pair, 3);
    pair.reopen();
    expect_version(pair, 3);
    EXPECT_EQ(read_sectors(*pair.disk, 800, 8), pattern(800, 8, 7));
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).unchanged, 1u);
}

TEST(Promises, P1_UnmapIsRefusedWhereMainDoesNotTakeTheData) {
    TestPair pair;
    remapped_block(pair);
    pair.main->set_fault(kSectorNo + 5, 1, Fault{.write = true});
    const RangeResult refused = pair.disk->unmap(kSectorNo, 8);
    EXPECT_EQ(refused.refused, 1u);
    EXPECT_EQ(refused.error, EIO);
    EXPECT_EQ(refused.sector, kSectorNo);
    pair.main->heal_all();
    pair.main->set_fault(kSectorNo + 5, 1, Fault{.read = true});
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, EIO);
    EXPECT_TRUE(pair.remap_of(kBlockNo));
    expect_version(pair, 2);
}

// Main says that it took the data, and holds something else.
TEST(Promises, P1_UnmapReadsBackWhatMainHolds) {
    TestPair pair;
    remapped_block(pair);
    pair.main->set_hook([&pair](const Call& call) {
        if (call.op == Op::flush) {
            const std::byte other{0x77};
            pair.main->poke(kSectorNo * kSector + 2000, &other, 1);
        }
        return Medium::kPass;
    });
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, EIO);
    pair.main->set_hook(nullptr);
    expect_version(pair, 2);
    pair.reopen();
    expect_version(pair, 2);
}

TEST(Promises, P1_UnmapOfLostSectorsIsRefused) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(kSectorNo + 2, 1, Fault{.read = true});
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
    ASSERT_TRUE(pair.remap_of(kBlockNo));
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, ENODATA);
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
    EXPECT_EQ(pair.disk->status().lost_sectors, 1u);
}

// Main's sector may come back, and then what it holds is the last data: so it may be given back to
// main as it is, and only then. Zeros, which the slot holds in its place, must never get there.
TEST(Promises, P1_AForcedUnmapLeavesALostSectorToMain) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(kSectorNo + 2, 1, Fault{.read = true});
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
    ASSERT_EQ(write_sectors(*pair.disk, kSectorNo + 4, 2, 2), 0);
    const RangeResult result = pair.disk->unmap(kSectorNo, 8, true);
    EXPECT_EQ(result.changed, 1u);
    EXPECT_EQ(pair.disk->status().lost_sectors, 0u);
    EXPECT_TRUE(pair.remaps().empty());
    EXPECT_EQ(pair.main->peek((kSectorNo + 2) * kSector, kSector), pattern(kSectorNo + 2, 1, 1));
    EXPECT_EQ(pair.main->peek((kSectorNo + 4) * kSector, 2 * kSector),
              pattern(kSectorNo + 4, 2, 2));
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);  // still bad: it moves again
    pair.main->heal_all();
    EXPECT_EQ(pair.disk->salvage(), 1u);
    EXPECT_EQ(read_sectors(*pair.disk, kSectorNo + 2, 1), pattern(kSectorNo + 2, 1, 1));
}

TEST(Promises, P1_AForcedUnmapIsRefusedWhereMainIsOlderThanWhatWasLost) {
    TestPair pair;
    remapped_block(pair);
    pair.close();
    pair.edit_entries([](dmr_entry& entry) { entry.lost = 4; });
    pair.open();
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8, true).error, ENODATA);
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
    EXPECT_EQ(pair.main->peek(kSectorNo * kSector, kBlock), pattern(kSectorNo, 8, 1));
}

// Of a logical block only a part is lost, as no disk of ours marks it: the rest cannot be written.
TEST(Promises, P1_AForcedUnmapLeavesNoPartOfALogicalBlockBehind) {
    TestPair pair({.main_logical = 4096});
    remapped_block(pair);
    pair.close();
    pair.edit_entries([](dmr_entry& entry) { entry.lost = entry.retry = 4; });
    pair.open();
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8, true).error, ENODATA);
    EXPECT_TRUE(pair.remap_of(kBlockNo));
    EXPECT_EQ(read_sectors(*pair.disk, kSectorNo, 2), pattern(kSectorNo, 2, 2));
}

// No slot takes the erasure: the block moves to another slot, with its marks.
TEST(Promises, P1_AForcedUnmapThatCannotBeCommittedKeepsTheMarks) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(kSectorNo + 2, 1, Fault{.read = true});
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
    const dmr_superblock sb = pair.superblock();
    pair.spare->set_fault(dmr_page_offset(&sb, 0, 0) / kSector, 8, Fault{.write = true});
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8, true).error, EIO);
    pair.spare->heal_all();
    const auto remap = pair.remap_of(kBlockNo);
    ASSERT_TRUE(remap);
    EXPECT_EQ(remap->lost, 4);
    EXPECT_EQ(remap->retry, 4);
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
    pair.reopen();
    read_sectors(*pair.disk, kSectorNo + 2, 1, EIO);
}

// The power goes off at each call of an unmap, a write to main behind it, and a flush.
TEST(Promises, P2_UnmapSurvivesAPowerCutAtEveryCall) {
    bool unmapped_once = false, kept_once = false;
    for (std::uint64_t cut = 1;; cut++) {
        TestPair pair;
        pair.set_cache(true);
        remapped_block(pair);
        ASSERT_EQ(pair.disk->flush(), 0);
        pair.power->cut_at(cut);
        const bool unmapped = pair.disk->unmap(kSectorNo, 8).changed == 1;
        const bool written = unmapped && write_sectors(*pair.disk, kSectorNo, 8, 3) == 0;
        const bool flushed = written && pair.disk->flush() == 0;
        if (!pair.power->off()) break;
        std::mt19937_64 chance(cut);
        pair.crash(cut % 2 == 0 ? &chance : nullptr);
        pair.open();
        const auto got = read_sectors(*pair.disk, kSectorNo, 8);
        unmapped_once |= pair.remaps().empty();
        kept_once |= !pair.remaps().empty();
        for (std::uint64_t s = 0; s < 8; s++) {
            const std::vector<std::byte> sector(
                got.begin() + static_cast<std::ptrdiff_t>(s * kSector),
                got.begin() + static_cast<std::ptrdiff_t>((s + 1) * kSector));
            const bool old = sector == pattern(kSectorNo + s, 1, 2);
            EXPECT_TRUE(sector == pattern(kSectorNo + s, 1, 3) || (old && !flushed))
                << "cut at call " << cut << ", sector " << s;
        }
    }
    EXPECT_TRUE(unmapped_once);
    EXPECT_TRUE(kept_once);
}

// One copy of the page does not take the entry: the block must stay remapped, with a newer record
// than any that the failed page may hold.
TEST(Mistakes, M17_AHalfCommittedUnmapIsNotRolledBack) {
    for (const int copy : {0, 1}) {
        for (const int lost_copy : {-1, 0, 1}) {
            TestPair pair;
            remapped_block(pair);
            const std::uint64_t slot = pair.remap_of(kBlockNo)->slot;
            // So that there are good pages to go to.
            ASSERT_EQ(pair.disk->remap(2048, 8 * 140).changed, 140u);
            std::uint64_t page = 0;
            pair.spare->set_hook([&](const Call& call) {
                if (call.op != Op::write || pair.table_copy(call.offset) != copy)
                    return Medium::kPass;
                page = page == 0 ? call.offset : page;
                return call.offset == page ? EIO : Medium::kPass;
            });
            EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, EIO);
            pair.spare->set_hook(nullptr);
            const auto remap = pair.remap_of(kBlockNo);
            ASSERT_TRUE(remap) << copy;
            EXPECT_NE(remap->slot, slot);
            expect_version(pair, 2);
            ASSERT_EQ(write_sectors(*pair.disk, kSectorNo, 8, 3), 0);
            EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, EAGAIN);
            pair.close();
            if (lost_copy >= 0) {
                const dmr_superblock sb = pair.superblock();
                pair.spare->set_fault(dmr_page_offset(&sb, lost_copy, 0) / kSector,
                                      dmr_le32(sb.page_size) / kSector, Fault{.read = true});
            }
            pair.open();
            expect_version(pair, 3);
        }
    }
}

// The same page fails in both copies, and there is no other to go to.
TEST(Mistakes, M17_AnUnmapThatCannotBeCommittedAnywhereIsFenced) {
    TestPair pair;
    remapped_block(pair);
    pair.spare->set_hook([&pair](const Call& call) {
        return call.op == Op::write && pair.table_copy(call.offset) >= 0 ? EIO : Medium::kPass;
    });
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, EIO);
    read_sectors(*pair.disk, kSectorNo, 8, EIO);
    EXPECT_EQ(pair.disk->status().state, State::read_only);
    // The table still has the entry, but it is not where the block is: nobody knows that.
    EXPECT_TRUE(pair.disk->find_remap(kSectorNo));
    EXPECT_TRUE(pair.disk->fenced(kSectorNo + 7));
    EXPECT_FALSE(pair.disk->fenced(kSectorNo + 8));
    pair.spare->set_hook(nullptr);
    pair.disk->close();
    pair.disk.reset();
    pair.open();
    EXPECT_FALSE(pair.disk->fenced(kSectorNo));
    expect_version(pair, 2);
}

// The commit before it, of what another block's move left behind, loses its flush: nothing of the
// spare is known any more, and the block keeps its slot.
TEST(Promises, P2_NothingIsUnmappedAfterAFlushThatFailed) {
    TestPair pair;
    remapped_block(pair);
    pair.main->set_fault(800, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 800, 8, 7), 0);
    pair.spare->set_fault(pair.remap_of(100)->spare_sector, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 800, 8, 8), 0);  // moves; its old slot is to be erased
    pair.spare->set_hook(
        [](const Call& call) { return call.op == Op::flush ? EIO : Medium::kPass; });
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, EROFS);
    EXPECT_TRUE(pair.remap_of(kBlockNo));
    expect_version(pair, 2);
    pair.spare->set_hook(nullptr);
    EXPECT_NE(pair.disk->close(), 0);
    pair.disk.reset();
    pair.open();
    EXPECT_TRUE(pair.remap_of(kBlockNo));
    expect_version(pair, 2);
}

TEST(Promises, P4_NothingIsUnmappedWhileAPageIsRetired) {
    TestPair pair;
    remapped_block(pair);
    const dmr_superblock sb = pair.superblock();
    pair.spare->set_hook([place = dmr_page_offset(&sb, 1, 0)](const Call& call) {
        return call.op == Op::write && call.offset == place ? EIO : Medium::kPass;
    });
    ASSERT_EQ(pair.disk->remap(0, 8).changed, 1u);
    ASSERT_NE(pair.disk->status().retired_pages, 0u);
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).error, EAGAIN);
    expect_version(pair, 2);
    pair.spare->set_hook(nullptr);
    pair.reopen();
    EXPECT_EQ(pair.disk->unmap(kSectorNo, 8).changed, 1u);
    pair.reopen();
    expect_version(pair, 2);
}

// The block moved from slot to slot before; no record of the first one may come back.
TEST(Promises, P1_NoOlderClaimSpeaksAfterAnUnmap) {
    TestPair pair;
    remapped_block(pair);
    const std::uint64_t first = pair.remap_of(kBlockNo)->spare_sector;
    pair.spare->set_fault(first, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, kSectorNo, 8, 3), 0);
    ASSERT_NE(pair.remap_of(kBlockNo)->spare_sector, first);
    ASSERT_EQ(pair.disk->unmap(kSectorNo, 8).changed, 1u);
    ASSERT_EQ(write_sectors(*pair.disk, kSectorNo, 8, 4), 0);
    ASSERT_EQ(pair.disk->flush(), 0);
    pair.crash();
    pair.open();
    EXPECT_TRUE(pair.remaps().empty());
    expect_version(pair, 4);
}

TEST(Promises, P1_RemapByHandTakesWhatCanBeReadAndMarksTheRest) {
    TestPair pair({.main_size = (4 << 20) + 3 * kSector});
    pair.fill_main(1);
    pair.format();
    pair.open();
    const std::uint64_t blocks = pair.sectors() / 8 + 1;
    pair.main->set_fault(kSectorNo + 1, 1, Fault{.read = true});
    RangeResult result = pair.disk->remap(0, pair.sectors());
    EXPECT_EQ(result.changed, blocks);
    EXPECT_EQ(result.refused, 0u);
    EXPECT_EQ(pair.disk->status().lost_sectors, 1u);
    result = pair.disk->remap(kSectorNo, 16);
    EXPECT_EQ(result.unchanged, 2u);
    read_sectors(*pair.disk, kSectorNo + 1, 1, EIO);
    EXPECT_EQ(read_sectors(*pair.disk, pair.sectors() - 3, 3), pattern(pair.sectors() - 3, 3, 1));
    result = pair.disk->unmap(0, pair.sectors());
    EXPECT_EQ(result.changed, blocks - 1);
    EXPECT_EQ(result.refused, 1u);
    EXPECT_EQ(result.error, ENODATA);
    EXPECT_EQ(pair.disk->status().active_mappings, 1u);
    pair.reopen();
    for (std::uint64_t s = 0; s < pair.sectors(); s++) {
        if (s != kSectorNo + 1) {
            ASSERT_EQ(read_sectors(*pair.disk, s, 1), pattern(s, 1, 1)) << s;
        }
    }
}

// A range of many regions, and the disk is closed while the first is at work: what was not begun is
// left alone, and nobody waits for ever.
TEST(Promises, P2_ClosingEndsWorkByHandWhereItIs) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_hook(
        [](const Call& call) { return call.op == Op::read ? Medium::kHold : Medium::kPass; });
    RangeResult result;
    std::thread worker([&] { result = pair.disk->remap(0, pair.sectors()); });
    ASSERT_TRUE(pair.main->wait_held(1));
    std::thread closer([&] { EXPECT_EQ(pair.disk->close(), 0); });
    while (pair.disk->remap(0, 0).error != ENODEV) std::this_thread::yield();
    pair.main->set_hook(nullptr);
    pair.main->release();
    worker.join();
    closer.join();
    EXPECT_GE(result.changed, 1u);
    EXPECT_EQ(result.error == 0, result.changed == pair.sectors() / 8);
    if (result.error != 0) {
        EXPECT_EQ(result.error, ENODEV);
        EXPECT_EQ(result.sector, result.changed * 8);
    }
    pair.disk.reset();
    pair.open();
    EXPECT_EQ(pair.remaps().size(), result.changed);
    EXPECT_EQ(read_sectors(*pair.disk, 0, pair.sectors()), pattern(0, pair.sectors(), 1));
}

// Blocks that take long, as bad ones do: the others behind the same gate do not wait for the whole
// range.
TEST(Promises, P10_SlowWorkByHandLetsRequestsIn) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    std::mutex mutex;
    std::condition_variable changed;
    bool begun = false, asked = false, served = false;
    unsigned reads_before = 0;
    pair.main->set_hook([&](const Call& call) {
        if (call.op != Op::read || call.offset >= kRegionSize) return Medium::kPass;
        std::unique_lock lock(mutex);
        if (served) return Medium::kPass;
        begun = true;
        changed.notify_all();
        changed.wait(lock, [&] { return asked; });
        if (++reads_before > 8) return Medium::kPass;
        lock.unlock();
        std::this_thread::sleep_for(std::chrono::milliseconds(110));  // as long as a round
        return Medium::kPass;
    });
    std::thread worker([&] { EXPECT_EQ(pair.disk->remap(0, kRegionSize / 512).changed, 256u); });
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return begun; });
    }
    Pending write(*pair.disk, Op::write, kRegionSize / 2, pattern(1024, 8, 2), [&] {
        const std::lock_guard lock(mutex);
        served = true;
    });
    {
        const std::lock_guard lock(mutex);
        asked = true;
        changed.notify_all();
    }
    EXPECT_EQ(write.wait(), 0);
    EXPECT_LE(reads_before, 8u) << "the request waited for the whole range";
    worker.join();
    pair.main->set_hook(nullptr);
    EXPECT_EQ(read_sectors(*pair.disk, 1024, 8), pattern(1024, 8, 2));
    EXPECT_EQ(read_sectors(*pair.disk, 0, 1024), pattern(0, 1024, 1));
}

// A salvage that nobody waits for any more ends for who asked; the disk goes on with it.
TEST(Promises, P5_ASalvageCanBeGivenUp) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(80, 1, Fault{.read = true});
    read_sectors(*pair.disk, 80, 1, EIO);
    pair.main->heal_all();
    pair.main->set_hook(
        [](const Call& call) { return call.op == Op::read ? Medium::kHold : Medium::kPass; });
    EXPECT_EQ(pair.disk->salvage([&] { return pair.main->wait_held(1); }), 0u);
    pair.main->set_hook(nullptr);
    pair.main->release();
    pair.disk->salvage();
    EXPECT_EQ(read_sectors(*pair.disk, 80, 1), pattern(80, 1, 1));
}

TEST(Promises, P8_ByHandOutsideTheDiskOrReadOnlyIsRefused) {
    TestPair pair;
    pair.format();
    pair.open();
    EXPECT_EQ(pair.disk->remap(pair.sectors(), 1).error, EINVAL);
    EXPECT_EQ(pair.disk->unmap(8, ~std::uint64_t{0}).error, EINVAL);
    EXPECT_EQ(pair.disk->remap(8, 0).error, 0);
    EXPECT_TRUE(pair.remaps().empty());
    pair.close();
    OpenOptions options;
    options.read_only = true;
    pair.open(options);
    EXPECT_EQ(pair.disk->remap(8, 8).error, EROFS);
    EXPECT_EQ(pair.disk->unmap(8, 8).error, EROFS);
}

}  // namespace

}  // namespace dmremap::test
