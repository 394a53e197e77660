// SPDX-License-Identifier: GPL-2.0-or-later
// Promises where several rules meet: a failing flush that nobody waits for, recovery interrupted
// while main's change is being accepted, numbers that run out, the short last block, chores and
// closing.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "core/refusal.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

namespace {

constexpr std::uint64_t kBlock = 4096;

void remap_by_write(TestPair& pair, std::uint64_t block) {
    pair.main->set_fault(block * 8, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, block * 8, 8, 1), 0);
    ASSERT_TRUE(pair.remap_of(block));
}

void lose_a_sector(TestPair& pair, std::uint64_t block) {
    pair.main->set_fault(block * 8 + 3, 1, Fault{.read = true});
    read_sectors(*pair.disk, block * 8 + 3, 1, EIO);
    ASSERT_EQ(pair.remap_of(block)->retry, 8);
}

// A scratch over neighbouring pages of the table: the change goes on until it finds one that takes
// it, in either kind of commit that may have to send it elsewhere.
TEST(Promises, P1_AStretchOfBadTablePagesCostsNoBlock) {
    for (const int copy : {0, 1}) {
        SCOPED_TRACE(copy);
        TestPair pair({.main_size = 16 << 20, .spare_size = 32 << 20});
        pair.format();
        pair.open();
        ASSERT_EQ(pair.disk->remap(0, 2100 * 8).changed, 2100u);
        const dmr_superblock sb = pair.superblock();
        ASSERT_EQ(dmr_le64(sb.table_ready), 4096u);
        for (std::uint64_t page = 2100 / dmr_entries_per_page(&sb); page < 31; page++) {
            pair.spare->set_fault(dmr_page_offset(&sb, copy, page) / kSector, 8,
                                  Fault{.write = true});
        }
        remap_by_write(pair, 3000);
        ASSERT_EQ(pair.disk->unmap(2099 * 8, 8).error, EAGAIN) << "a page is retired";
        pair.disk->salvage();
        EXPECT_FALSE(pair.has_cause("commit_failed"));
        EXPECT_EQ(pair.disk->status().state, State::degraded);
        pair.crash();
        pair.open();
        EXPECT_EQ(read_sectors(*pair.disk, 3000 * 8, 8), pattern(3000 * 8, 8, 1));
    }
}

// So many pages take no write that it is the spare that fails, though some of them may be good.
TEST(Mistakes, M17_AChangeThatNoPageTakesIsFenced) {
    TestPair pair({.main_size = 32 << 20, .spare_size = 64 << 20});
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(0, 4100 * 8).changed, 4100u);
    pair.spare->set_hook([&pair](const Call& call) {
        return call.op == Op::write && pair.table_copy(call.offset) == 0 ? EIO : Medium::kPass;
    });
    pair.main->set_fault(5000 * 8, 8, Fault{.write = true});
    EXPECT_EQ(write_sectors(*pair.disk, 5000 * 8, 8, 1), EIO);
    read_sectors(*pair.disk, 5000 * 8, 8, EIO);
    EXPECT_TRUE(pair.disk->fenced(5000 * 8)) << "nor is it on main, where no remap would have it";
    EXPECT_EQ(pair.disk->status().state, State::read_only);
    EXPECT_EQ(pair.disk->status().retired_pages, 24u);
}

// A page is retired and what lives there has nowhere to go: it stays readable where it is, nothing
// is written any more, and the next opener has all of it.
TEST(Promises, P1_ABlockThatCannotBeMovedAwayStaysReadable) {
    TestPair pair;
    pair.format();
    pair.open();
    remap_by_write(pair, 10);
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t second_of_page_0 = dmr_page_offset(&sb, 1, 0);
    const std::uint64_t slot = pair.remap_of(10)->spare_sector * kSector;
    pair.spare->set_hook([=](const Call& call) {
        const bool fails = call.op == Op::write
                               ? call.offset == second_of_page_0
                               : call.offset >= slot && call.offset < slot + kBlock;
        return fails ? EIO : Medium::kPass;
    });
    remap_by_write(pair, 20);
    ASSERT_EQ(pair.disk->status().retired_pages, 1u);
    pair.spare->set_hook([&pair](const Call& call) {
        return call.op == Op::write && pair.table_copy(call.offset) == 0 ? EIO : Medium::kPass;
    });
    pair.disk->salvage();
    ASSERT_TRUE(pair.has_cause("commit_failed"));
    for (const std::uint64_t block : {10, 20}) {
        EXPECT_EQ(read_sectors(*pair.disk, block * 8, 8), pattern(block * 8, 8, 1));
        EXPECT_EQ(write_sectors(*pair.disk, block * 8, 8, 2), EROFS);
    }
    pair.spare->set_hook(nullptr);
    pair.crash();
    pair.open();
    for (const std::uint64_t block : {10, 20}) {
        EXPECT_EQ(read_sectors(*pair.disk, block * 8, 8), pattern(block * 8, 8, 1));
    }
}

// Sector 83 is lost and to be retried; while the pair was closed main was written all over.
void lost_sector_and_changed_main(TestPair& pair) {
    pair.fill_main(1);
    pair.format();
    pair.open();
    lose_a_sector(pair, 10);
    pair.close();
    pair.main->heal_all();
    pair.fill_main(2);
}

// The flush that fails belongs to the growth of the table; the user's next one must fail all the
// same.
TEST(Promises, P2_AFlushThatFailsWhileTheTableGrowsStaysFailed) {
    TestPair pair({.main_size = 16 << 20});
    pair.format();
    pair.set_cache(true);
    pair.open();
    pair.main->set_fault(0, 1024 * 8 + 64, Fault{.write = true});
    for (std::uint64_t block = 0; block < 1024; block++) {
        ASSERT_EQ(write_sectors(*pair.disk, block * 8, 8, 1), 0) << block;
    }
    ASSERT_EQ(pair.disk->flush(), 0);
    ASSERT_EQ(write_sectors(*pair.disk, 5 * 8, 8, 2), 0);
    std::atomic<bool> first{true};
    pair.spare->set_hook([&](const Call& call) {
        return call.op == Op::flush && first.exchange(false) ? EIO : Medium::kPass;
    });
    EXPECT_NE(write_sectors(*pair.disk, 1024 * 8, 8, 1), 0);
    EXPECT_FALSE(first);
    EXPECT_NE(pair.disk->flush(), 0);
    EXPECT_EQ(pair.disk->status().state, State::read_only);
}

// An erasure waits, no slot takes the next block, and the flush before the erasure fails: it can
// not make room, now or ever.
TEST(Promises, P2_AFlushThatFailsWhileRoomIsMadeEndsTheRequest) {
    TestPair pair;
    pair.format();
    pair.open();
    remap_by_write(pair, 10);
    pair.spare->set_fault(pair.remap_of(10)->spare_sector, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 10 * 8, 8, 2), 0);
    pair.spare->set_hook([&](const Call& call) {
        if (call.op == Op::flush) return EIO;
        return call.op == Op::write && pair.in_slots(call.offset) ? ENOSPC : Medium::kPass;
    });
    pair.main->set_fault(20 * 8, 8, Fault{.write = true});
    EXPECT_EQ(write_sectors(*pair.disk, 20 * 8, 8, 2), ENOSPC);
    EXPECT_EQ(pair.disk->status().state, State::read_only);
    EXPECT_NE(pair.disk->flush(), 0);
}

TEST(Promises, P3_ACrashWhileAChangedMainIsAcceptedDoesNotBringItsDataBack) {
    for (std::uint64_t cut = 1; cut < 200; cut++) {
        TestPair pair;
        lost_sector_and_changed_main(pair);
        pair.power->cut_at(cut);
        OpenOptions accept;
        accept.accept_changed_main = true;
        try {
            pair.open(accept);
        } catch (const Refusal&) {
        }
        if (!pair.power->off()) return;
        pair.crash();
        try {
            pair.open();
        } catch (const Refusal&) {
            continue;  // it asks again
        }
        pair.disk->salvage();
        read_sectors(*pair.disk, 83, 1, EIO);
    }
    FAIL() << "opening never came to its end";
}

// Where the page of a retry mark can not be written the mark can not go: that is said before
// anything is written, and what is there can be copied off.
TEST(Promises, P7_AChangedMainIsRefusedWhereRetryMarksCanNotGo) {
    TestPair pair;
    lost_sector_and_changed_main(pair);
    const dmr_superblock sb = pair.superblock();
    Fault fault;
    fault.read = true;
    pair.spare->set_fault(dmr_page_offset(&sb, 0, 0) / kSector + 1, 1, fault);
    pair.spare->set_fault(dmr_page_offset(&sb, 1, 0) / kSector + 2, 1, fault);
    OpenOptions accept;
    accept.accept_changed_main = true;
    const auto before = pair.spare->snapshot();
    EXPECT_THROW(pair.open(accept), Refusal);
    EXPECT_EQ(pair.spare->snapshot(), before);
    accept.read_only = true;
    pair.open(accept);
    read_sectors(*pair.disk, 80, 3);
    read_sectors(*pair.disk, 83, 1, EIO);
}

TEST(Promises, P8_NumbersThatWouldRunOutAreRefusedAndStayReadable) {
    for (const int what : {0, 1, 2}) {
        TestPair pair;
        pair.format();
        pair.open();
        remap_by_write(pair, 10);
        pair.close();
        if (what == 2) {
            pair.edit_entries([](dmr_entry& entry) {
                entry.sequence = dmr_to_le64(std::uint64_t{DMR_SEQUENCE_LIMIT - 5});
            });
        } else {
            pair.edit_superblocks([what](dmr_superblock& sb) {
                (what == 0 ? sb.entry_epoch : sb.sequence) = dmr_to_le64(std::uint64_t{
                    what == 0 ? (DMR_SEQUENCE_LIMIT >> 32) - 1 : DMR_SEQUENCE_LIMIT - 5});
            });
        }
        EXPECT_THROW(pair.open(), Refusal) << what;
        OpenOptions only_read;
        only_read.read_only = true;
        pair.open(only_read);
        EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 1));
    }
}

TEST(Promises, P1_WhatLiesBehindTheShortLastBlockDoesNotMatter) {
    TestPair pair({.main_size = (4 << 20) + 512});
    pair.format();
    pair.open();
    const std::uint64_t sector = (4 << 20) / kSector;
    pair.main->set_fault(sector, 1, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, sector, 1, 1), 0);
    const auto remap = pair.remap_of(sector / 8);
    ASSERT_TRUE(remap);
    pair.spare->set_fault(remap->spare_sector, 8, Fault{.read = true, .write = true});
    EXPECT_EQ(write_sectors(*pair.disk, sector, 1, 2), 0);
    EXPECT_EQ(read_sectors(*pair.disk, sector, 1), pattern(sector, 1, 2));
}

// A salvage of many sectors is under way, each read held until the test lets it go: closing must
// not wait for the rest of them.
TEST(Promises, ClosingDoesNotWaitForChores) {
    constexpr std::uint64_t kLost = 100;
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    for (std::uint64_t block = 0; block < kLost; block++) lose_a_sector(pair, block);
    std::atomic<std::uint64_t> retried{0};
    pair.main->set_hook([&](const Call& call) {
        if (call.op == Op::read && call.length == kSector) {
            return retried++ == 0 ? Medium::kHold : Medium::kPass;
        }
        return Medium::kPass;
    });
    std::thread salvage([&] { pair.disk->salvage(); });
    pair.main->wait_held(1);
    std::thread close([&] { EXPECT_EQ(pair.disk->close(), 0); });
    while (pair.disk->read(0, nullptr, 0) != ENODEV) std::this_thread::yield();
    pair.main->release();
    close.join();
    salvage.join();
    EXPECT_LT(retried, kLost) << "all chores were done first";
}

// Requests that need the healer keep coming until the salvage is through: it must come to its turn.
TEST(Promises, P5_ASalvageComesToItsTurnUnderLoad) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    lose_a_sector(pair, 10);
    pair.main->heal_all();
    std::atomic<bool> stop{false};
    std::vector<std::thread> writers;
    for (std::uint64_t i = 0; i < 4; i++) {
        writers.emplace_back([&pair, &stop, i] {
            const std::byte byte{1};
            while (!stop) EXPECT_EQ(pair.disk->write((600 + i) * kBlock + 1, &byte, 1), 0);
        });
    }
    EXPECT_EQ(pair.disk->salvage(), 1u);
    stop = true;
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(read_sectors(*pair.disk, 83, 1), pattern(83, 1, 1));
}

TEST(Promises, P6_ASpareThatIsGoneOrHasNoRoomUnderItSaysSo) {
    for (const int error : {ENODEV, ENOSPC}) {
        TestPair pair;
        pair.format();
        pair.open();
        remap_by_write(pair, 10);
        pair.spare->set_fault(pair.remap_of(10)->spare_sector, 8,
                              Fault{.write = true, .error = error});
        EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), error);
        EXPECT_TRUE(pair.saw(error == ENODEV ? EventKind::device_gone : EventKind::spare_fs_full));
        EXPECT_TRUE(pair.has_cause(error == ENODEV ? "spare_gone" : "spare_fs_full"));
        pair.spare->heal_all();
    }
}

TEST(Promises, P5_WhatIsLostStaysLostWhenItsBlockMoves) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    lose_a_sector(pair, 10);
    pair.spare->set_fault(pair.remap_of(10)->spare_sector, 1, Fault{.write = true});
    const std::uint64_t slot = pair.remap_of(10)->slot;
    ASSERT_EQ(write_sectors(*pair.disk, 80, 1, 2), 0);
    for (int round = 0; round < 2; round++) {
        ASSERT_NE(pair.remap_of(10)->slot, slot);
        EXPECT_EQ(pair.remap_of(10)->lost, 8);
        EXPECT_EQ(pair.remap_of(10)->retry, 8);
        read_sectors(*pair.disk, 83, 1, EIO);
        EXPECT_EQ(read_sectors(*pair.disk, 80, 1), pattern(80, 1, 2));
        pair.reopen();
    }
    pair.main->heal_all();
    EXPECT_EQ(pair.disk->salvage(), 1u);
    EXPECT_EQ(read_sectors(*pair.disk, 81, 7), pattern(81, 7, 1));
}

// The slot refuses the data of a relocation, so no entry ever named it.
// The sector is written and its mark cleared, but the page dies under that: the block moves, and
// its old slot cannot be read for a while, for want of memory. That is waited for.
TEST(Promises, P2_AClearedMarkWhosePageDiesMovesWhenThereIsMemory) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    lose_a_sector(pair, 10);
    const auto before = pair.remap_of(10);
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t page = dmr_page_offset(&sb, 0, 0), slot = before->spare_sector * kSector;
    pair.spare->set_hook([page, slot, refusals = std::make_shared<int>(9)](const Call& call) {
        if (call.op == Op::write && call.offset == page) return EIO;
        const bool refused = call.op == Op::read && call.offset == slot && --*refusals >= 0;
        return refused ? ENOMEM : Medium::kPass;
    });
    EXPECT_EQ(write_sectors(*pair.disk, 83, 1, 2), 0);
    auto wanted = pattern(80, 8, 1);
    const auto written = pattern(83, 1, 2);
    std::copy(written.begin(), written.end(), wanted.begin() + 3 * kSector);
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), wanted);
    EXPECT_NE(pair.remap_of(10)->slot, before->slot);
    EXPECT_EQ(pair.disk->status().lost_sectors, 0u);
    pair.spare->set_hook(nullptr);
    pair.crash();
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), wanted);
}

TEST(Promises, ASlotThatRefusesItsFirstWriteIsMarkedBad) {
    TestPair pair;
    pair.format();
    const dmr_superblock sb = pair.superblock();
    pair.spare->set_fault(dmr_slot_offset(&sb, 0) / kSector, 8, Fault{.write = true});
    pair.open();
    remap_by_write(pair, 10);
    EXPECT_NE(pair.remap_of(10)->slot, 0u);
    EXPECT_TRUE(pair.saw(EventKind::bad_slot));
    EXPECT_EQ(pair.disk->status().slots_bad, 1u);
    pair.spare->heal_all();
    pair.reopen();
    EXPECT_EQ(pair.disk->status().slots_bad, 1u);
    remap_by_write(pair, 20);
    EXPECT_NE(pair.remap_of(20)->slot, 0u);
}

// Zeroing has no data; what a caller left in the request's pointer is not it.
TEST(Promises, P1_AZeroIsZerosWhateverThePointerSays) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    lose_a_sector(pair, 10);
    std::vector<std::byte> stale(64, std::byte{0x5a});
    std::atomic<int> result{-1};
    Request request;
    request.op = Op::zero;
    request.offset = 100;
    request.length = 20 * kBlock;
    request.data = stale.data();
    request.context = &result;
    request.done = [](Request& done, int error) {
        auto* const to = static_cast<std::atomic<int>*>(done.context);
        *to = error;
        to->notify_one();
    };
    pair.disk->submit(request);
    result.wait(-1);
    EXPECT_EQ(result, 0);
    std::vector<std::byte> got(20 * kBlock);
    EXPECT_EQ(pair.disk->read(100, got.data(), got.size()), 0);
    EXPECT_EQ(got, zeros(got.size()));
}

// A list that is being given out while blocks move leaves none of them out.
TEST(Promises, P1_AListHasWhatMovesMeanwhile) {
    TestPair pair;
    pair.format();
    pair.open();
    remap_by_write(pair, 10);
    remap_by_write(pair, 11);
    const std::uint64_t slot = pair.remap_of(11)->spare_sector;
    std::vector<std::uint64_t> listed;
    pair.disk->list_remaps([&](const RemapInfo& remap) {
        listed.push_back(remap.sector / 8);
        if (remap.sector != 80) return;
        pair.spare->set_fault(slot, 8, Fault{.write = true});
        EXPECT_EQ(write_sectors(*pair.disk, 88, 8, 2), 0);  // to another slot
        remap_by_write(pair, 12);                           // the commit that erases the old one
    });
    EXPECT_EQ(listed, (std::vector<std::uint64_t>{10, 11}));
    EXPECT_NE(pair.remap_of(11)->spare_sector, slot);
}

}  // namespace

}  // namespace dmremap::test
