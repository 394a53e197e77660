// SPDX-License-Identifier: GPL-2.0-or-later
// The known mistakes of the field, 11 to 20; 9, 10 and 13 are not the
// core's.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>

#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

struct Opened : TestPair {
    explicit Opened(const Shape& shape = {}) : TestPair(shape) {
        fill_main(1);
        format();
        open();
    }
};

TEST(Mistakes, M11_TheCountersCount) {
    Opened pair;
    pair.plan->apply("main bad write 80+8\nmain bad read 163\n");
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    read_sectors(*pair.disk, 160, 8, EIO);
    for (int i = 0; i < 7; ++i) read_sectors(*pair.disk, 400, 16);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(write_sectors(*pair.disk, 400, 8, 2), 0);
    EXPECT_EQ(pair.disk->flush(), 0);
    EXPECT_EQ(pair.disk->zero(800 * kSector, kBlock), 0);
    EXPECT_EQ(pair.disk->discard(800 * kSector, kBlock), 0);
    const DiskStatus status = pair.disk->status();
    const auto expect = [&](Op op, std::uint64_t completed, std::uint64_t failed,
                            std::uint64_t bytes) {
        SCOPED_TRACE(op_name(op));
        const OpTotals& totals = status.totals.of(op);
        EXPECT_EQ(totals.completed, completed);
        EXPECT_EQ(totals.failed, failed);
        EXPECT_EQ(totals.bytes, bytes);
        EXPECT_GT(totals.time_ns, 0u);
        std::uint64_t histogram = 0;
        for (const std::uint64_t count : totals.latency) histogram += count;
        EXPECT_EQ(histogram, completed);
    };
    expect(Op::read, 8, 1, 7 * 16 * kSector);
    expect(Op::write, 6, 0, 6 * kBlock);
    expect(Op::flush, 1, 0, 0);
    expect(Op::zero, 1, 0, kBlock);
    expect(Op::discard, 1, 0, kBlock);
    EXPECT_GE(status.totals.main_errors, 2u);
    EXPECT_EQ(status.totals.spare_errors, 0u);
    EXPECT_EQ(status.totals.remaps, 2u);
    EXPECT_EQ(status.totals.remaps_by_reason[DMR_REASON_WRITE], 1u);
    EXPECT_EQ(status.totals.remaps_by_reason[DMR_REASON_READ], 1u);
    EXPECT_EQ(status.totals.sectors_lost, 1u);
    EXPECT_GE(status.totals.commits, 1u);
    EXPECT_GE(status.totals.device_flushes, 1u);
    EXPECT_EQ(status.active_mappings, 2u);
    EXPECT_EQ(status.lost_sectors, 1u);
    EXPECT_EQ(status.state, State::degraded);
    EXPECT_EQ(write_sectors(*pair.disk, 163, 1, 2), 0);
    EXPECT_EQ(pair.disk->status().lost_sectors, 0u);
    EXPECT_EQ(pair.disk->status().state, State::healthy);
}

// Time is measured from submission to completion: a request that waits is not quick.
TEST(Mistakes, M11_LatencyIsThatOfTheRequest) {
    Opened pair;
    pair.main->set_hook(
        [](const Call& call) { return call.op == Op::read ? Medium::kHold : Medium::kPass; });
    const auto begin = std::chrono::steady_clock::now();
    Pending read(*pair.disk, Op::read, 0, kBlock);
    pair.main->wait_held(1);
    const auto held_since = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - held_since < std::chrono::milliseconds(5)) {
    }
    const auto held_until = std::chrono::steady_clock::now();
    pair.main->set_hook(nullptr);
    pair.main->release();
    EXPECT_EQ(read.wait(), 0);
    const auto end = std::chrono::steady_clock::now();
    const std::uint64_t time = pair.disk->status().totals.of(Op::read).time_ns;
    EXPECT_GE(time, static_cast<std::uint64_t>((held_until - held_since).count()));
    EXPECT_LE(time, static_cast<std::uint64_t>((end - begin).count()));
}

TEST(Mistakes, M12_AClockSetBackInvalidatesNothing) {
    Opened pair;
    pair.plan->apply("main bad write 80+8\n");
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    pair.close();
    constexpr std::uint64_t kFuture = 1ull << 40;
    pair.edit_superblocks([](dmr_superblock& sb) {
        sb.created = sb.written = dmr_to_le64(kFuture);
        sb.scan_pass_start = sb.scan_pass_end = dmr_to_le64(kFuture);
    });
    pair.edit_entries([](dmr_entry& entry) { entry.time = dmr_to_le64(kFuture); });
    ASSERT_NO_THROW(pair.open());
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 2));
    // And the change made now, at an earlier time, wins.
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 3), 0);
    const auto remap = pair.remap_of(10);
    ASSERT_TRUE(remap);
    pair.plan->apply("spare bad write " + std::to_string(remap->spare_sector) + "+8\n");
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 4), 0);
    pair.reopen();
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 4));
}

// Holds the reads of one block of main that reach the medium: the fault device fails those that
// touch a bad sector before, so these are the second tries and the salvage.
void hold_reads(TestPair& pair, std::uint64_t sector) {
    pair.main->set_hook([sector](const Call& call) {
        const bool other = call.op != Op::read || call.offset + call.length <= sector * kSector ||
                           call.offset >= (sector + 8) * kSector;
        return other ? Medium::kPass : Medium::kHold;
    });
}

// Two reads of a block fail together. While the first one's salvage is held on main a write comes.
// It must neither be lost in the salvage's shadow nor be undone by the second read's salvage.
TEST(Mistakes, M14_ASecondSalvageDoesNotUndoAWrite) {
    for (std::uint64_t round = 0; round < 40; ++round) {
        SCOPED_TRACE(round);
        const std::uint64_t sector = 800 + 8 * round;
        Opened pair;
        // Sector + 3 is bad for ever, so that the salvage ends in a relocation.
        pair.plan->apply("main bad all " + std::to_string(sector + 3) + "\n");
        hold_reads(pair, sector);
        Pending first(*pair.disk, Op::read, sector * kSector, kBlock);
        Pending second(*pair.disk, Op::read, sector * kSector, kBlock);
        pair.main->wait_held(1);
        Pending write(*pair.disk, Op::write, sector * kSector, pattern(sector, 8, 2));
        pair.main->set_hook(nullptr);
        pair.main->release();
        EXPECT_EQ(write.wait(), 0);
        first.wait();
        second.wait();
        EXPECT_EQ(read_sectors(*pair.disk, sector, 8), pattern(sector, 8, 2));
        pair.reopen();
        EXPECT_EQ(read_sectors(*pair.disk, sector, 8), pattern(sector, 8, 2));
    }
}

// A write of a region without remaps comes while a block of it is being relocated: it must not
// reach main behind the fresh remap.
TEST(Mistakes, M15_NoWriteSlipsOntoMainBehindARemap) {
    constexpr std::uint64_t kSector0 = 1600;
    Opened pair;
    pair.plan->apply("main bad read 1603\n");
    hold_reads(pair, kSector0);
    Pending read(*pair.disk, Op::read, kSector0 * kSector, kBlock);
    pair.main->wait_held(1);  // the salvage
    const auto log = std::make_shared<Medium::Log>();
    pair.main->set_log(log);
    Pending write(*pair.disk, Op::write, kSector0 * kSector, pattern(kSector0, 8, 2));
    Pending part(*pair.disk, Op::write, (kSector0 + 5) * kSector, pattern(kSector0 + 5, 1, 2));
    pair.main->set_hook(nullptr);
    pair.main->release();
    EXPECT_EQ(write.wait(), 0);
    EXPECT_EQ(part.wait(), 0);
    read.wait();
    ASSERT_TRUE(pair.remap_of(kSector0 / 8));
    for (const Call& call : log->take()) EXPECT_NE(call.op, Op::write);
    EXPECT_EQ(read_sectors(*pair.disk, kSector0, 8), pattern(kSector0, 8, 2));
    pair.reopen();
    EXPECT_EQ(read_sectors(*pair.disk, kSector0, 8), pattern(kSector0, 8, 2));
}

// The other way round: a write is on its way to main when its block fails a read; the relocation
// waits for it and carries its data along.
TEST(Mistakes, M15_ARelocationWaitsForTheWritesInside) {
    constexpr std::uint64_t kSector0 = 1600;
    for (int round = 0; round < 40; ++round) {
        Opened pair;
        pair.plan->apply("main bad read 1603\nmain bad read 5003\n");
        pair.main->set_hook(
            [](const Call& call) { return call.op == Op::write ? Medium::kHold : Medium::kPass; });
        Pending write(*pair.disk, Op::write, kSector0 * kSector, pattern(kSector0, 3, 2));
        pair.main->wait_held(1);
        Pending read(*pair.disk, Op::read, kSector0 * kSector, kBlock);
        // What was asked for later, behind another gate, is moved; this waits.
        read_sectors(*pair.disk, 5000, 8, EIO);
        EXPECT_TRUE(pair.remap_of(5000 / 8));
        EXPECT_FALSE(pair.remap_of(kSector0 / 8));
        pair.main->set_hook(nullptr);
        pair.main->release();
        EXPECT_EQ(write.wait(), 0);
        EXPECT_EQ(read.wait(), EIO);
        EXPECT_EQ(read_sectors(*pair.disk, kSector0, 3), pattern(kSector0, 3, 2));
        EXPECT_EQ(read_sectors(*pair.disk, kSector0 + 4, 4), pattern(kSector0 + 4, 4, 1));
        if (testing::Test::HasFailure()) return;
    }
}

TEST(Mistakes, M16_ARetryDoesNotBringBackDataFromBeforeAWrite) {
    Opened pair;
    pair.plan->apply("main bad read 1000+4\n");
    read_sectors(*pair.disk, 1000, 8, EIO);
    EXPECT_EQ(write_sectors(*pair.disk, 1001, 1, 2), 0);
    EXPECT_EQ(pair.disk->zero(1002 * kSector, kSector), 0);
    const auto remap = pair.remap_of(125);
    ASSERT_TRUE(remap);
    EXPECT_EQ(remap->lost, 0b1001);
    EXPECT_EQ(remap->retry, 0b1001);
    pair.crash();
    pair.open();
    pair.plan->apply("main clear\n");
    EXPECT_EQ(pair.disk->salvage(), 2u);
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 1), pattern(1000, 1, 1));
    EXPECT_EQ(read_sectors(*pair.disk, 1001, 1), pattern(1001, 1, 2));
    EXPECT_EQ(read_sectors(*pair.disk, 1002, 1), zeros(kSector));
    EXPECT_EQ(read_sectors(*pair.disk, 1003, 5), pattern(1003, 5, 1));
}

// A lost mark is cleared, a block leaves main, or leaves a slot that takes no more writes, and the
// commit fails at each call it makes in turn. What was acknowledged is kept; what can be read
// before the next opening reads the same after it.
TEST(Mistakes, M17_AHalfCommittedChangeOnlyRollsForward) {
    enum class Change { clearing, leaving_main, leaving_a_slot };
    for (const Change change : {Change::clearing, Change::leaving_main, Change::leaving_a_slot}) {
        for (const bool for_good : {false, true}) {
            bool reached = true;
            for (unsigned fails_at = 1; reached && fails_at < 40; ++fails_at) {
                SCOPED_TRACE("change " + std::to_string(static_cast<int>(change)) + ", call " +
                             std::to_string(fails_at) + (for_good ? " and all after" : ""));
                Opened pair;
                pair.plan->apply("main bad all 1003\nmain bad write 1000+8\n");
                if (change == Change::clearing) read_sectors(*pair.disk, 1000, 8, EIO);
                if (change == Change::leaving_a_slot) {
                    ASSERT_EQ(write_sectors(*pair.disk, 1000, 8, 3), 0);
                    pair.spare->set_fault(pair.remap_of(125)->spare_sector, 8,
                                          Fault{.write = true});
                }
                std::atomic<unsigned> calls{0};
                pair.spare->set_hook([&](const Call& call) {
                    if (call.op == Op::read) return Medium::kPass;
                    const unsigned call_number = ++calls;
                    return call_number == fails_at || (for_good && call_number > fails_at)
                               ? EIO
                               : Medium::kPass;
                });
                const int acknowledged = write_sectors(*pair.disk, 1000, 8, 2);
                reached = calls >= fails_at;
                std::vector<std::byte> before(kBlock);
                const int error = pair.disk->read(1000 * kSector, before.data(), kBlock);
                pair.spare->set_hook(nullptr);
                if (acknowledged == 0) {
                    EXPECT_EQ(error, 0);
                    EXPECT_EQ(before, pattern(1000, 8, 2));
                }
                pair.crash();
                ASSERT_NO_THROW(pair.open());
                std::vector<std::byte> after(kBlock);
                const int later = pair.disk->read(1000 * kSector, after.data(), kBlock);
                if (error == 0) {
                    EXPECT_EQ(later, 0);
                    EXPECT_EQ(after, before);
                } else if (later == 0) {
                    EXPECT_TRUE(after == pattern(1000, 8, 2) ||
                                (change == Change::leaving_a_slot && after == pattern(1000, 8, 3)));
                } else {
                    EXPECT_EQ(later, EIO);
                }
                if (testing::Test::HasFailure()) return;
            }
            EXPECT_FALSE(reached);
        }
    }
}

TEST(Mistakes, M18_AReplyIsWholeOrAnError) {
    Opened pair({.main_size = (4 << 20) + 3 * kSector});
    pair.plan->apply("main bad read 1003\n");
    for (int round = 0; round < 2; ++round) {
        read_sectors(*pair.disk, 900, 300, EIO);
        EXPECT_EQ(read_sectors(*pair.disk, 900, 103), pattern(900, 103, 1));
    }
    // A request over two regions, of which the second one fails: first in the device, then by what
    // is known.
    pair.plan->apply("main bad read 2051\n");
    for (int round = 0; round < 2; ++round) read_sectors(*pair.disk, 2040, 20, EIO);
    // To the last byte of a disk whose last block is short.
    const std::uint64_t end = pair.sectors();
    EXPECT_EQ(read_sectors(*pair.disk, end - 11, 11), pattern(end - 11, 11, 1));
    std::vector<std::byte> block(kBlock);
    EXPECT_EQ(pair.disk->read((end - 1) * kSector, block.data(), 2 * kSector), EINVAL);
    // The short block is salvaged without the sectors that do not exist.
    pair.plan->apply("main bad all " + std::to_string(end - 1) + "\n");
    EXPECT_EQ(write_sectors(*pair.disk, end - 3, 1, 2), 0);
    read_sectors(*pair.disk, end - 3, 3, EIO);
    const auto remap = pair.remap_of(end / 8);
    ASSERT_TRUE(remap);
    EXPECT_EQ(remap->lost, 0b100);
    EXPECT_EQ(read_sectors(*pair.disk, end - 3, 1), pattern(end - 3, 1, 2));
    EXPECT_EQ(read_sectors(*pair.disk, end - 2, 1), pattern(end - 2, 1, 1));
}

TEST(Mistakes, M19_ZeroingIsAWriteOfZerosAndDiscardIsNot) {
    Opened pair;
    pair.main->set_discard_keeps(true);
    pair.spare->set_discard_keeps(true);
    pair.plan->apply("main bad write 80+8\nmain bad read 163\n");
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    read_sectors(*pair.disk, 160, 8, EIO);
    // A discard gives nothing back that was lost.
    EXPECT_EQ(pair.disk->discard(160 * kSector, kBlock), 0);
    read_sectors(*pair.disk, 163, 1, EIO);
    // On main, over a slot, over a lost sector, and at odd bytes.
    EXPECT_EQ(pair.disk->zero(72 * kSector + 100, 96 * kSector), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 73, 95), zeros(95 * kSector));
    const auto edge = read_sectors(*pair.disk, 168, 1);
    const auto whole = pattern(168, 1, 1);
    EXPECT_TRUE(std::equal(edge.begin(), edge.begin() + 100, zeros(100).begin()));
    EXPECT_TRUE(std::equal(edge.begin() + 100, edge.end(), whole.begin() + 100));
    // And where no remap is near.
    EXPECT_EQ(pair.disk->zero(4096 * kSector, kBlock), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 4096, 8), zeros(kBlock));
    pair.reopen();
    EXPECT_EQ(read_sectors(*pair.disk, 73, 95), zeros(95 * kSector));
    // A write error while zeroing relocates.
    pair.plan->apply("main bad write 400+8\n");
    EXPECT_EQ(pair.disk->zero(392 * kSector, 24 * kSector), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 392, 24), zeros(24 * kSector));
    EXPECT_TRUE(pair.remap_of(50));
}

TEST(Mistakes, M20_WantOfMemoryMarksNoSlotBad) {
    for (const char* error : {"ENOMEM", "EAGAIN"}) {
        SCOPED_TRACE(error);
        Opened pair;
        pair.plan->apply("main bad write 80+80\n");
        EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
        pair.plan->apply(std::string("spare fail write 1 error=") + error + "\n");
        write_sectors(*pair.disk, 88, 8, 2);
        pair.plan->apply(std::string("spare fail write 1 error=") + error + "\n");
        write_sectors(*pair.disk, 80, 8, 3);
        EXPECT_EQ(pair.disk->status().slots_bad, 0u);
        EXPECT_EQ(pair.disk->status().totals.moves, 0u);
        pair.plan->apply("spare clear\n");
        EXPECT_EQ(write_sectors(*pair.disk, 88, 8, 2), 0);
        EXPECT_EQ(read_sectors(*pair.disk, 88, 8), pattern(88, 8, 2));
    }
}

// The same for a page of the entry table, of which either copy can be the one.
TEST(Mistakes, M20_WantOfResourcesRetiresNoPageAndFencesNothing) {
    for (const char* error : {"ENOMEM", "EAGAIN", "ENOSPC"}) {
        for (const int copy : {0, 1}) {
            for (const char* where :
                 {"bad write %", "bad write % times=2", "bad write % times=2 torn=1"}) {
                Opened pair;
                const dmr_superblock geometry = pair.superblock();
                const std::uint64_t page = dmr_page_offset(&geometry, copy, 0) / kSector;
                std::string rule = where;
                rule.replace(rule.find('%'), 1, std::to_string(page) + "+" + "8");
                SCOPED_TRACE(rule + " error=" + error);
                pair.plan->apply("main bad write 80+80\nspare " + rule + " error=" + error + "\n");
                const int result = write_sectors(*pair.disk, 80, 8, 2);
                EXPECT_EQ(pair.disk->status().retired_pages, 0u);
                EXPECT_FALSE(pair.has_cause("commit_failed"));
                EXPECT_LE(pair.disk->status().state, State::degraded);
                // What was not acknowledged may be either, but is it from now on.
                const auto now = read_sectors(*pair.disk, 80, 8);
                const std::uint32_t version = now == pattern(80, 8, 2) ? 2 : 1;
                EXPECT_EQ(now, pattern(80, 8, version));
                EXPECT_TRUE(result != 0 || version == 2);
                pair.plan->apply("spare clear\n");
                EXPECT_EQ(write_sectors(*pair.disk, 88, 8, 3), 0);
                EXPECT_FALSE(pair.has_cause("spare_fs_full"));
                EXPECT_EQ(pair.disk->status().state, State::healthy);
                pair.reopen();
                EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, version));
                EXPECT_EQ(read_sectors(*pair.disk, 88, 8), pattern(88, 8, 3));
            }
        }
    }
}

// An unmap is durable in one copy, then there is no room for the other: the block moves instead.
// Its old slot is free, and nothing else; were it counted twice the table would not grow in time.
TEST(Mistakes, M20_AnUnmapInWantOfRoomLosesNoSlot) {
    constexpr std::uint64_t kBlocks = 1200;  // more than the first step of the table has
    Opened pair(Shape{.main_size = 8 << 20, .spare_size = 16 << 20});
    const dmr_superblock geometry = pair.superblock();
    ASSERT_EQ(pair.disk->remap(80, 8).changed, 1u);
    pair.plan->apply("spare bad write " +
                     std::to_string(dmr_page_offset(&geometry, 1, 0) / kSector) +
                     "+8 error=ENOSPC times=2\n");
    EXPECT_EQ(pair.disk->unmap(80, 8, false).refused, 1u);
    ASSERT_TRUE(pair.remap_of(10));
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 1));
    EXPECT_EQ(pair.disk->remap(800, 8 * kBlocks).changed, kBlocks);
    EXPECT_FALSE(pair.has_cause("spare_full"));
    EXPECT_EQ(pair.disk->status().slots_used, kBlocks + 1);
    pair.reopen();
    EXPECT_EQ(pair.disk->status().slots_used, kBlocks + 1);
    EXPECT_EQ(pair.disk->status().slots_bad, 0u);
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 1));
    EXPECT_EQ(read_sectors(*pair.disk, 800, 8 * kBlocks), pattern(800, 8 * kBlocks, 1));
}

// A page that has one copy of what it says only because there was no room for the other is no bad
// page: an unmap of what lives there makes that copy first, or says that there is no room.
TEST(Mistakes, M20_AnUnmapPaysWhatItsPageIsOwed) {
    Opened pair(Shape{.main_size = 8 << 20, .spare_size = 16 << 20});
    const dmr_superblock geometry = pair.superblock();
    ASSERT_EQ(pair.disk->remap(80, 8).changed, 1u);
    pair.plan->apply("spare bad write " +
                     std::to_string(dmr_page_offset(&geometry, 1, 0) / kSector) +
                     "+8 error=ENOSPC\n");
    EXPECT_EQ(pair.disk->remap(160, 8).error, ENOSPC) << "it is made, and in one copy";
    EXPECT_TRUE(pair.remap_of(20));
    EXPECT_EQ(pair.disk->unmap(80, 8, false).error, ENOSPC);
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 1));
    pair.plan->apply("clear\n");
    EXPECT_EQ(pair.disk->unmap(80, 8, false).changed, 1u);
    EXPECT_EQ(pair.disk->unmap(160, 8, false).changed, 1u);
    EXPECT_EQ(pair.disk->status().slots_used, 0u);
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 1));
}

// Of one order the blocks of the first page leave it durable once, and owed a copy, for a while;
// those of the second are refused, and tried again when that copy is made.
TEST(Mistakes, M20_AnUnmapOverTwoPagesWaitsForWhatTheFirstIsOwed) {
    constexpr std::uint64_t kBlocks = 16;
    constexpr std::uint64_t kPerPage = 4096 / DMR_ENTRY_SIZE;
    constexpr std::uint64_t kFirst = 8 * (kPerPage - kBlocks / 2);
    Opened pair;
    const dmr_superblock geometry = pair.superblock();
    const auto refuses = [&geometry](int copy, std::uint64_t page, unsigned times) {
        return "spare bad write " +
               std::to_string(dmr_page_offset(&geometry, copy, page) / kSector) +
               " error=ENOSPC times=" + std::to_string(times) + "\n";
    };
    ASSERT_EQ(pair.disk->remap(0, 8 * (kPerPage + kBlocks)).changed, kPerPage + kBlocks);
    pair.plan->apply(refuses(1, 0, 3) + refuses(0, 1, 1));
    const RangeResult result = pair.disk->unmap(kFirst, 8 * kBlocks, false);
    EXPECT_EQ(result.changed + result.refused, kBlocks);
    EXPECT_EQ(read_sectors(*pair.disk, kFirst, 8 * kBlocks), pattern(kFirst, 8 * kBlocks, 1));
    EXPECT_EQ(pair.disk->status().retired_pages, 0u);
    EXPECT_EQ(pair.disk->status().state, State::healthy);
    EXPECT_EQ(pair.disk->unmap(kFirst, 8 * kBlocks, false).refused, 0u);
    pair.reopen();
    EXPECT_EQ(pair.disk->status().slots_used, kPerPage);
    EXPECT_EQ(read_sectors(*pair.disk, kFirst, 8 * kBlocks), pattern(kFirst, 8 * kBlocks, 1));
}

// The block has moved from a bad slot, whose old claim is to be erased with the next commit. That
// is refused once, for want of room or of the device, and no reason to let the unmap go.
TEST(Mistakes, M20_AnUnmapWaitsForAnErasureThatIsTriedAgain) {
    for (const char* error : {"ENOSPC", "ENODEV"}) {
        SCOPED_TRACE(error);
        Opened pair;
        ASSERT_EQ(pair.disk->remap(80, 8).changed, 1u);
        const auto first = pair.remap_of(10);
        ASSERT_TRUE(first);
        pair.plan->apply("spare bad write " + std::to_string(first->spare_sector) + "+8\n");
        EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
        ASSERT_NE(pair.remap_of(10)->slot, first->slot);
        pair.plan->apply(std::string("spare fail write 1 error=") + error + "\n");
        const RangeResult result = pair.disk->unmap(80, 8, false);
        EXPECT_EQ(result.error, 0);
        EXPECT_EQ(result.changed, 1u);
        EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 2));
        pair.crash();
        pair.open();
        EXPECT_FALSE(pair.remap_of(10));
        EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 2));
    }
}

TEST(Mistakes, M20_AFullFileSystemUnderTheSpareMarksNoSlotBad) {
    for (const char* error : {"ENOSPC", "EDQUOT"}) {
        SCOPED_TRACE(error);
        Opened pair;
        pair.plan->apply("main bad write 80+80\n");
        EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
        pair.plan->apply(std::string("spare bad write * error=") + error + "\n");
        EXPECT_EQ(write_sectors(*pair.disk, 88, 8, 2), ENOSPC);
        EXPECT_TRUE(pair.saw(EventKind::spare_fs_full));
        EXPECT_TRUE(pair.has_cause("spare_fs_full"));
        EXPECT_EQ(pair.disk->status().slots_bad, 0u);
        EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 2));
        EXPECT_EQ(read_sectors(*pair.disk, 88, 8), pattern(88, 8, 1));
    }
}

}  // namespace
}  // namespace dmremap::test
