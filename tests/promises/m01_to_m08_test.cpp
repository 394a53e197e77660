// SPDX-License-Identifier: GPL-2.0-or-later
// The known mistakes of the field, 1 to 8.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <unordered_map>

#include "core/device/fault_device.h"
#include "core/meta/format_spare.h"
#include "tests/support/pool_device.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

void spoil(TestPair& pair, const char* kind, std::uint64_t sector, std::uint64_t count) {
    pair.plan->apply(std::string("main bad ") + kind + " " + std::to_string(sector) + "+" +
                     std::to_string(count) + "\n");
}

TEST(Mistakes, M01_ASlotNobodyWroteIsNeverRead) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    // All slots hold what somebody left there.
    const dmr_superblock sb = pair.superblock();
    for (std::uint64_t slot = 0; slot < dmr_le64(sb.slots); ++slot)
        pair.spare->poke(dmr_slot_offset(&sb, slot), pattern(9, 8, 9).data(), kBlock);
    spoil(pair, "read", 1000, 8);
    spoil(pair, "all", 2002, 2);
    pair.open();
    for (int round = 0; round < 2; ++round) {
        for (std::uint64_t s = 1000; s < 1008; ++s) read_sectors(*pair.disk, s, 1, EIO);
        read_sectors(*pair.disk, 2002, 2, EIO);
        EXPECT_EQ(read_sectors(*pair.disk, 2000, 2), pattern(2000, 2, 1));
        EXPECT_EQ(read_sectors(*pair.disk, 2004, 4), pattern(2004, 4, 1));
        pair.reopen();
    }
    // A write that relocates carries the rest of the block along.
    spoil(pair, "write", 3000, 8);
    EXPECT_EQ(write_sectors(*pair.disk, 3003, 1, 2), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 3000, 3), pattern(3000, 3, 1));
    EXPECT_EQ(read_sectors(*pair.disk, 3003, 1), pattern(3003, 1, 2));
    EXPECT_EQ(read_sectors(*pair.disk, 3004, 4), pattern(3004, 4, 1));
}

TEST(Mistakes, M02_EachBlockOfARequestIsLookedUp) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    // Every third block, so that slots next to each other belong to blocks that are not, and a
    // pair of neighbours in descending order.
    for (std::uint64_t block = 0; block < 60; block += 3) {
        spoil(pair, "write", block * 8, 8);
        EXPECT_EQ(write_sectors(*pair.disk, block * 8, 8, 2), 0);
    }
    for (const std::uint64_t block : {41, 40, 25}) {
        spoil(pair, "write", block * 8, 8);
        EXPECT_EQ(write_sectors(*pair.disk, block * 8, 8, 2), 0);
    }
    const auto all = read_sectors(*pair.disk, 0, 60 * 8);
    for (std::uint64_t block = 0; block < 60; ++block) {
        const bool moved = block % 3 == 0 || block == 41 || block == 40 || block == 25;
        const auto expected = pattern(block * 8, 8, moved ? 2 : 1);
        EXPECT_EQ(std::memcmp(all.data() + block * kBlock, expected.data(), kBlock), 0)
            << "block " << block;
    }
    EXPECT_EQ(write_sectors(*pair.disk, 3, 60 * 8 - 7, 3), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 3, 60 * 8 - 7), pattern(3, 60 * 8 - 7, 3));
    for (std::uint64_t s = 3; s < 60 * 8 - 4; ++s)
        ASSERT_EQ(read_sectors(*pair.disk, s, 1), pattern(s, 1, 3));
    EXPECT_EQ(read_sectors(*pair.disk, 0, 3), pattern(0, 3, 2));
}

TEST(Mistakes, M03_TheAllocatorRemembersAcrossOpenings) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    for (std::uint64_t round = 0; round < 6; ++round) {
        for (std::uint64_t i = 0; i < 5; ++i) {
            const std::uint64_t sector = (round * 5 + i) * 80;
            spoil(pair, "write", sector, 8);
            EXPECT_EQ(write_sectors(*pair.disk, sector, 8, 2), 0);
        }
        if (round % 2 == 0) {
            pair.reopen();
        } else {
            pair.crash();
            pair.open();
        }
        std::set<std::uint64_t> slots;
        for (const RemapInfo& info : pair.remaps()) EXPECT_TRUE(slots.insert(info.slot).second);
        EXPECT_EQ(slots.size(), (round + 1) * 5);
        for (std::uint64_t i = 0; i < (round + 1) * 5; ++i)
            EXPECT_EQ(read_sectors(*pair.disk, i * 80, 8), pattern(i * 80, 8, 2));
    }
}

// Fills the spare to its last slot: every slot can be used, none lies in metadata, and after the
// last one it is ENOSPC and nothing else.
void fill_the_spare(const Shape& shape) {
    TestPair pair(shape);
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->apply("main bad write *\n");
    const std::uint64_t slots = pair.disk->status().slots;
    ASSERT_LT(slots, pair.sectors() / 8);
    std::uint64_t written = 0;
    for (; written < slots; ++written)
        ASSERT_EQ(write_sectors(*pair.disk, written * 8, 8, 2), 0) << "slot " << written;
    EXPECT_EQ(write_sectors(*pair.disk, written * 8, 8, 2), ENOSPC);
    EXPECT_EQ(write_sectors(*pair.disk, 0, 8, 3), 0) << "what has a slot goes on working";
    EXPECT_TRUE(pair.saw(EventKind::spare_full));
    EXPECT_TRUE(pair.has_cause("spare_full"));
    std::vector<std::uint64_t> low;
    std::size_t full_events = 0;
    for (const Event& event : pair.events()) {
        if (event.kind == EventKind::spare_low) low.push_back(event.count);
        full_events += event.kind == EventKind::spare_full;
    }
    EXPECT_EQ(low, (std::vector<std::uint64_t>{20, 10, 5}));
    EXPECT_EQ(full_events, 1u);
    EXPECT_EQ(pair.disk->status().active_mappings, slots);
    EXPECT_EQ(pair.disk->status().slots_bad, 0u);
    for (unsigned copy = 0; copy < dmr_copies(pair.spare->size()); ++copy) {
        dmr_superblock sb;
        std::memcpy(&sb, pair.spare->peek(dmr_copy_offsets[copy], sizeof(sb)).data(), sizeof(sb));
        EXPECT_EQ(dmr_superblock_verdict(&sb, dmr_copy_offsets[copy]), DMR_OK);
    }
    pair.reopen();
    EXPECT_EQ(pair.disk->status().active_mappings, slots);
    EXPECT_EQ(read_sectors(*pair.disk, 0, 8), pattern(0, 8, 3));
    for (std::uint64_t block = 1; block < slots; ++block)
        ASSERT_EQ(read_sectors(*pair.disk, block * 8, 8), pattern(block * 8, 8, 2));
    for (std::uint64_t block = slots; block < pair.sectors() / 8; ++block)
        ASSERT_EQ(read_sectors(*pair.disk, block * 8, 8), pattern(block * 8, 8, 1));
    EXPECT_EQ(write_sectors(*pair.disk, written * 8, 8, 2), ENOSPC);
}

// One write takes the spare from 15 percent free to none: the marks are told of first.
TEST(Promises, ASpareIsToldToBeLowBeforeItIsToldToBeFull) {
    TestPair pair(Shape{.main_size = 12 * kMiB});
    pair.format();
    pair.open();
    pair.plan->apply("main bad write *\n");
    const std::uint64_t slots = pair.disk->status().slots, few = slots * 15 / 100;
    ASSERT_LT(few, 256u) << "or one region does not take them all";
    const std::uint64_t begin = (slots - few) / 256 * 256;
    ASSERT_LT(slots - begin, 512u);
    ASSERT_EQ(write_sectors(*pair.disk, 0, begin * 8, 2), 0);
    ASSERT_EQ(write_sectors(*pair.disk, begin * 8, (slots - few - begin) * 8, 2), 0);
    EXPECT_FALSE(pair.saw(EventKind::spare_full));
    EXPECT_EQ(write_sectors(*pair.disk, (begin + 256) * 8, 256 * 8, 2), ENOSPC);
    std::vector<std::uint64_t> order;
    for (const Event& event : pair.events()) {
        if (event.kind == EventKind::spare_low) order.push_back(event.count);
        if (event.kind == EventKind::spare_full) order.push_back(0);
    }
    EXPECT_EQ(order, (std::vector<std::uint64_t>{20, 10, 5, 0}));
    EXPECT_TRUE(pair.has_cause("spare_full"));
}

TEST(Mistakes, M04_MetadataAndSlotsDoNotOverlap) { fill_the_spare({.main_size = 12 * kMiB}); }

TEST(Mistakes, M04_MetadataAndSlotsDoNotOverlapWithLargePages) {
    fill_the_spare(
        {.main_size = 12 * kMiB, .spare_size = 9 * kMiB + 8192, .spare_physical = 16384});
}

// The order of a relocation, call by call, from the log of what reached the spare.
TEST(Mistakes, M05_DataThenFirstCopyThenSecondCopyThenAcknowledged) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    spoil(pair, "write", 80, 24);
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);  // the table has been begun
    const auto log = std::make_shared<Medium::Log>();
    pair.spare->set_log(log);
    EXPECT_EQ(write_sectors(*pair.disk, 88, 8, 2), 0);
    const auto remap = pair.remap_of(11);
    ASSERT_TRUE(remap);
    std::string order;  // d data, f flush, 1 and 2 pages of either copy
    for (const Call& call : log->take()) {
        if (call.op == Op::flush)
            order += 'f';
        else if (call.op == Op::read)
            continue;
        else if (const int copy = pair.table_copy(call.offset); copy >= 0)
            order += copy == 0 ? '1' : '2';
        else if (call.offset == remap->spare_sector * kSector)
            order += 'd';
        else
            order += '?';
    }
    EXPECT_TRUE(order == "df1f2f" || order == "df2f1f") << order;
}

TEST(Mistakes, M05_NothingIsAcknowledgedBeforeTheLastFlush) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    spoil(pair, "write", 80, 24);
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    pair.spare->set_hook(
        [](const Call& call) { return call.op == Op::flush ? Medium::kHold : Medium::kPass; });
    Pending write(*pair.disk, Op::write, 88 * kSector, pattern(88, 8, 2),
                  [&] { pair.spare->stop_waiting(); });
    for (int flush = 1; flush <= 3; ++flush) {
        ASSERT_TRUE(pair.spare->wait_held(1)) << "acknowledged before flush " << flush;
        EXPECT_FALSE(write.finished()) << "acknowledged before flush " << flush;
        pair.spare->release();
    }
    pair.spare->set_hook(nullptr);
    EXPECT_EQ(write.wait(), 0);
}

// A device in memory that is as large as one likes: only what was written takes room.
class HugeDevice final : public Device {
public:
    HugeDevice(std::shared_ptr<std::unordered_map<std::uint64_t, std::vector<std::byte>>> blocks,
               std::uint64_t size)
        : blocks_(std::move(blocks)) {
        info_.name = "HUGE";
        info_.size = size;
        info_.identity = "serial=HUGE\nsize=" + std::to_string(size) + "\n";
    }
    const DeviceInfo& info() const override { return info_; }
    void submit(Io& io) override {
        const std::unique_lock lock(mutex_);
        for (std::uint64_t at = 0; at < io.length; at += kSector) {
            auto& stored = *blocks_;
            const std::uint64_t sector = (io.offset + at) / kSector;
            if (io.op == Op::write) {
                stored[sector].assign(io.data + at, io.data + at + kSector);
            } else if (io.op == Op::read) {
                const auto found = stored.find(sector);
                if (found == stored.end())
                    std::memset(io.data + at, 0, kSector);
                else
                    std::memcpy(io.data + at, found->second.data(), kSector);
            }
        }
        io.complete(0);
    }

private:
    DeviceInfo info_;
    std::mutex mutex_;
    std::shared_ptr<std::unordered_map<std::uint64_t, std::vector<std::byte>>> blocks_;
};

TEST(Mistakes, M06_BlockNumbersAbove32Bits) {
    constexpr std::uint64_t kSize = (17ull << 40) + 3 * kSector;
    const auto blocks =
        std::make_shared<std::unordered_map<std::uint64_t, std::vector<std::byte>>>();
    TestPair pair;
    {
        HugeDevice main(blocks, kSize);
        const auto spare = pair.spare->device();
        format_spare(main, *spare, {});
    }
    // Three blocks that are one and the same in 32 bits of a block number, and the same in 32 bits
    // of a sector number; and the last, short one.
    const std::uint64_t places[] = {5 * 8, (1ull << 32) + 5 * 8, (1ull << 35) + 5 * 8,
                                    kSize / kSector - 3};
    for (int round = 0; round < 2; ++round) {
        pair.disk = Disk::open(
            make_fault_device(std::make_unique<HugeDevice>(blocks, kSize), "main", pair.plan),
            pair.spare->device(), {});
        for (const std::uint64_t sector : places) {
            if (round == 0) {
                EXPECT_EQ(write_sectors(*pair.disk, sector, 3, 1), 0);
                spoil(pair, "write", sector, 3);
                EXPECT_EQ(write_sectors(*pair.disk, sector, 3, 2), 0);
            }
        }
        for (const std::uint64_t sector : places)
            EXPECT_EQ(read_sectors(*pair.disk, sector, 3), pattern(sector, 3, 2)) << sector;
        EXPECT_EQ(pair.remaps().size(), 4u);
        pair.close();
    }
}

// A request in several runs, of which the first one fails and those after it do not.
TEST(Mistakes, M07_TheSuccessOfARunDoesNotHideTheErrorOfAnother) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    spoil(pair, "write", 88, 8);
    ASSERT_EQ(write_sectors(*pair.disk, 88, 8, 2), 0);  // on the spare
    spoil(pair, "read", 83, 1);
    read_sectors(*pair.disk, 80, 24, EIO);
    EXPECT_EQ(read_sectors(*pair.disk, 84, 4), pattern(84, 4, 1));
    EXPECT_EQ(read_sectors(*pair.disk, 88, 8), pattern(88, 8, 2));
}

TEST(Mistakes, M07_ErrorsAtTheSameTimeDoNotOverwriteEachOther) {
    constexpr std::uint64_t kRequests = 24;
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    // Bad blocks near each other and far apart, half of them found by reads and half by writes.
    const auto sector = [](std::uint64_t i) { return i * 8 * (i % 3 == 0 ? 32 : 1) + 8; };
    std::set<std::uint64_t> used;
    std::vector<std::uint64_t> sectors;
    for (std::uint64_t i = 0; i < kRequests; ++i)
        if (used.insert(sector(i)).second) sectors.push_back(sector(i));
    for (std::size_t i = 0; i < sectors.size(); ++i)
        spoil(pair, i % 2 == 0 ? "write" : "read", sectors[i] + (i % 2 == 0 ? 0 : 5),
              i % 2 == 0 ? 8 : 1);
    // Devices with threads of their own, so that the calls fail side by side.
    std::vector<std::unique_ptr<Pending>> requests;
    pair.disk.reset();
    pair.disk =
        Disk::open(make_pool_device(make_fault_device(pair.main->device(), "main", pair.plan), 6),
                   make_pool_device(pair.spare->device(), 2), {});
    for (std::size_t i = 0; i < sectors.size(); ++i) {
        const std::uint64_t offset = sectors[i] * kSector;
        if (i % 2 == 0)
            requests.push_back(std::make_unique<Pending>(*pair.disk, Op::write, offset,
                                                         pattern(sectors[i], 8, 2)));
        else
            requests.push_back(std::make_unique<Pending>(*pair.disk, Op::read, offset, kBlock));
    }
    for (std::size_t i = 0; i < sectors.size(); ++i)
        EXPECT_EQ(requests[i]->wait(), i % 2 == 0 ? 0 : EIO) << "sector " << sectors[i];
    EXPECT_EQ(pair.disk->status().active_mappings, sectors.size());
    for (std::size_t i = 0; i < sectors.size(); ++i) {
        if (i % 2 == 0) {
            EXPECT_EQ(read_sectors(*pair.disk, sectors[i], 8), pattern(sectors[i], 8, 2));
        } else {
            read_sectors(*pair.disk, sectors[i] + 5, 1, EIO);
            EXPECT_EQ(read_sectors(*pair.disk, sectors[i], 5), pattern(sectors[i], 5, 1));
        }
    }
}

TEST(Mistakes, M08_FlushAndDiscardAndLimitsArePassedOn) {
    TestPair pair({.main_logical = 4096});
    pair.fill_main(1);
    pair.format();
    pair.open();
    EXPECT_EQ(pair.disk->logical_block(), 4096u);
    EXPECT_EQ(pair.disk->size(), pair.main->size());
    spoil(pair, "write", 80, 8);
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    const auto log = std::make_shared<Medium::Log>();
    pair.main->set_log(log);
    pair.spare->set_log(log);
    // Writes on both, then a flush: both are flushed, after their write.
    EXPECT_EQ(write_sectors(*pair.disk, 80, 16, 3), 0);
    EXPECT_EQ(pair.disk->flush(), 0);
    std::set<const void*> written, flushed;
    for (const Call& call : log->take()) {
        if (call.op == Op::write) written.insert(call.medium);
        if (call.op == Op::flush && written.contains(call.medium)) flushed.insert(call.medium);
    }
    EXPECT_EQ(flushed.size(), 2u);
    // A discard reaches main, but not under a remap.
    EXPECT_EQ(pair.disk->discard(64 * kSector, 40 * kSector), 0);
    std::uint64_t discarded = 0;
    for (const Call& call : log->take()) {
        if (call.op != Op::discard || call.medium != pair.main.get()) continue;
        discarded += call.length;
        EXPECT_TRUE(call.offset >= 88 * kSector || call.offset + call.length <= 80 * kSector);
    }
    EXPECT_EQ(discarded, 32 * kSector);
}

// Both are asked at once, and whichever answers first, the flush waits for the other.
TEST(Mistakes, M08_AFlushWaitsForBothDevices) {
    for (const bool main_first : {true, false}) {
        TestPair pair;
        pair.fill_main(1);
        pair.format();
        pair.open();
        Medium& first = main_first ? *pair.main : *pair.spare;
        Medium& last = main_first ? *pair.spare : *pair.main;
        for (Medium* const medium : {&first, &last}) {
            medium->set_hook([](const Call& call) {
                return call.op == Op::flush ? Medium::kHold : Medium::kPass;
            });
        }
        Pending flush(*pair.disk, Op::flush, 0, {}, [&] {
            first.stop_waiting();
            last.stop_waiting();
        });
        ASSERT_TRUE(first.wait_held(1) && last.wait_held(1));
        first.release();
        EXPECT_FALSE(flush.finished());
        last.release();
        EXPECT_EQ(flush.wait(), 0);
        first.set_hook(nullptr);
        last.set_hook(nullptr);
    }
}

}  // namespace
}  // namespace dmremap::test
