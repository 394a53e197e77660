// SPDX-License-Identifier: GPL-2.0-or-later
// The scan finds what is bad, all of it and nothing else, and what it finds it treats as a failed
// read of a user.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "core/device/fault_device.h"
#include "core/device/memory_device.h"
#include "core/engine/gates.h"
#include "core/meta/format_spare.h"
#include "core/parameter_rules.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

TEST(Scan, P5_WhatItFindsIsSalvagedAndRelocated) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->fail_reads(FaultRole::main, 803, 1);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    ASSERT_EQ(pair.remaps().size(), 1u);
    const RemapInfo remap = pair.remaps().front();
    EXPECT_EQ(remap.sector, 800u);
    EXPECT_EQ(remap.reason, DMR_REASON_SCAN);
    EXPECT_EQ(remap.lost, 1 << 3);
    EXPECT_EQ(remap.retry, 1 << 3);
    EXPECT_EQ(read_sectors(*pair.disk, 800, 3), pattern(800, 3, 1));
    read_sectors(*pair.disk, 803, 1, EIO);
    EXPECT_EQ(read_sectors(*pair.disk, 804, 4), pattern(804, 4, 1));
    const ScanProgress scan = pair.disk->status().scan;
    EXPECT_EQ(scan.state, ScanState::idle);
    EXPECT_EQ(scan.found, 1u);
    EXPECT_EQ(scan.passes, 1u);
    EXPECT_TRUE(pair.saw(EventKind::scan_found));
}

// In both halves, and in both halves of a half.
TEST(Scan, TwoBadBlocksOfARegionAreBothFound) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    std::set<std::uint64_t> bad, found;
    for (const std::uint64_t block : {0, 1, 127, 128, 255, 300, 400}) {
        bad.insert(block * 8);
        pair.plan->fail_reads(FaultRole::main, block * 8 + 5, 1);
    }
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    for (const RemapInfo& remap : pair.remaps()) found.insert(remap.sector);
    EXPECT_EQ(found, bad);
}

TEST(Scan, TheLimitHolds) {
    TestPair pair;
    pair.format();
    pair.edit_superblocks([](dmr_superblock& sb) { sb.scan_speed_max = dmr_to_le32(1); });
    pair.open();
    std::atomic<unsigned> reads{0};
    pair.main->set_hook([&reads](const Call& call) {
        reads += call.op == Op::read && call.length == kRegionSize ? 1 : 0;
        return Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    // One region at 1 KiB/s pays for 17 minutes.
    give_a_bug_time([&] { return reads > 1; });
    EXPECT_LE(reads, 1u);
    EXPECT_EQ(pair.disk->scan(ScanOrder::stop), 0);
    pair.main->set_hook(nullptr);
}

TEST(Scan, LostSectorsAreTriedAgainInPassing) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->fail_reads(FaultRole::main, 803, 1);
    read_sectors(*pair.disk, 800, 8, EIO);
    pair.plan->heal(FaultRole::main, 803, 1);
    ASSERT_EQ(pair.disk->status().retry_sectors, 1u);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_EQ(pair.disk->status().lost_sectors, 0u);
    EXPECT_EQ(read_sectors(*pair.disk, 800, 8), pattern(800, 8, 1));
}

TEST(Scan, MainIsNotReadUnderARemap) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(800, 16).changed, 2u);
    std::mutex mutex;
    bool touched = false;
    pair.main->set_hook([&](const Call& call) {
        const std::lock_guard lock(mutex);
        touched = touched || (call.op == Op::read && call.offset < 816 * kSector &&
                              call.offset + call.length > 800 * kSector);
        return Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    pair.main->set_hook(nullptr);
    EXPECT_FALSE(touched);
}

TEST(Scan, P5_ASlotThatCannotBeReadKeepsItsBlock) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(800, 8).changed, 1u);
    const RemapInfo remap = pair.remaps().front();
    pair.plan->fail_reads(FaultRole::spare, remap.spare_sector, 1);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_TRUE(pair.saw(EventKind::slot_unreadable));
    ASSERT_EQ(pair.remaps().size(), 1u);
    EXPECT_EQ(pair.remaps().front().slot, remap.slot);
    EXPECT_EQ(pair.remaps().front().lost, 0u);
}

TEST(Scan, NothingIsRelocatedWhereReadErrorsAreNot) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.edit_superblocks([](dmr_superblock& sb) { sb.remap_on_read_error = 0; });
    pair.open();
    pair.plan->fail_reads(FaultRole::main, 803, 1);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_TRUE(pair.remaps().empty());
    EXPECT_EQ(pair.disk->status().scan.found, 1u);
}

TEST(Scan, ARangeIsReadAndNoMore) {
    TestPair pair;
    pair.format();
    pair.open();
    pair.plan->fail_reads(FaultRole::main, 2048, 1);
    pair.plan->fail_reads(FaultRole::main, 4096, 1);
    EXPECT_EQ(pair.disk->scan(ScanOrder::start, pair.sectors(), 1), EINVAL);
    EXPECT_EQ(pair.disk->scan(ScanOrder::start, 2040, pair.sectors()), EINVAL);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start, 2050, 2046), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    ASSERT_EQ(pair.remaps().size(), 1u);
    EXPECT_EQ(pair.remaps().front().sector, 2048u);
    EXPECT_EQ(pair.disk->status().scan.passes, 0u);
}

// The first block of what is read lives in a slot: all the same it is main that is noticed to be
// gone, and to be back.
TEST(Scan, P6_ItStandsStillAlsoWhereTheFirstBlockIsRemapped) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(0, 8).changed, 1u);
    pair.plan->vanish(FaultRole::main);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::breaker_tripped));
    EXPECT_EQ(pair.disk->scan(ScanOrder::stop), 0);
}

// False: not within a minute.
bool waits(const TestPair& pair) {
    for (int i = 0; i < 6000; i++) {
        if (pair.disk->status().scan.state == ScanState::waiting) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

TEST(Scan, P6_ItStandsStillWhileMainDoesNotAnswer) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.plan->vanish(FaultRole::main);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::breaker_tripped));
    EXPECT_TRUE(pair.remaps().empty());
    EXPECT_FALSE(pair.saw(EventKind::scan_ended));
    ASSERT_TRUE(waits(pair));
    EXPECT_EQ(pair.disk->status().scan.waits_for, "main to answer");
    EXPECT_EQ(pair.disk->scan(ScanOrder::stop), 0);
    EXPECT_EQ(pair.disk->status().scan.state, ScanState::idle);
}

TEST(Scan, OrdersThatMeanNothingAreRefused) {
    TestPair pair;
    pair.format();
    pair.open();
    EXPECT_EQ(pair.disk->scan(ScanOrder::pause), ENOENT);
    EXPECT_EQ(pair.disk->scan(ScanOrder::resume), ENOENT);
    EXPECT_EQ(pair.disk->scan(ScanOrder::stop), 0);
    pair.main->set_hook([](const Call& call) {
        return call.op == Op::read && call.length == kMiB ? Medium::kHold : Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    EXPECT_EQ(pair.disk->scan(ScanOrder::start), EBUSY);
    EXPECT_EQ(pair.disk->scan(ScanOrder::pause), 0);
    EXPECT_EQ(pair.disk->scan(ScanOrder::pause), 0);
    EXPECT_EQ(pair.disk->status().scan.state, ScanState::paused);
    EXPECT_EQ(pair.disk->scan(ScanOrder::start), EBUSY);
    pair.main->set_hook(nullptr);
    pair.main->release();
    EXPECT_EQ(pair.disk->scan(ScanOrder::resume), 0);
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended));
}

TEST(Scan, ReadOnlyNothingIsScanned) {
    TestPair pair;
    pair.format();
    OpenOptions options;
    options.read_only = true;
    pair.open(options);
    EXPECT_EQ(pair.disk->scan(ScanOrder::start), EROFS);
    EXPECT_EQ(pair.disk->status().scan.state, ScanState::idle);
    pair.disk.reset();
}

TEST(Scan, P2_ABlockThatIsRelocatedUnderAScanWaitsForOneReadOnly) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_hook([](const Call& call) {
        return call.op == Op::read && call.length == kMiB && call.offset == 0 ? Medium::kHold
                                                                              : Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    // In another region nothing waits; in this one reads do not, and a relocation waits for the
    // one read that is held.
    EXPECT_EQ(pair.disk->remap(2048, 8).changed, 1u);
    EXPECT_EQ(read_sectors(*pair.disk, 0, 8), pattern(0, 8, 1));
    pair.plan->fail_writes(FaultRole::main, 16, 1);
    Pending write(*pair.disk, Op::write, 16 * kSector, pattern(16, 8, 2));
    give_a_bug_time([&] { return write.finished(); });
    EXPECT_FALSE(write.finished());
    pair.main->set_hook(nullptr);
    pair.main->release();
    EXPECT_EQ(write.wait(), 0);
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_EQ(read_sectors(*pair.disk, 16, 8), pattern(16, 8, 2));
}

// A pair in sparse memory, for what needs size.
struct LargePair {
    explicit LargePair(std::uint64_t size) : main_size(size) {
        auto main = make_memory_device("MAIN-L", size);
        auto spare = make_memory_device("SPARE-L", 64 * kMiB);
        format_spare(*main, *spare, {});
        OpenOptions options;
        options.on_event = [this](const Event& event) {
            const std::lock_guard lock(mutex);
            ended += event.kind == EventKind::scan_ended ? 1 : 0;
            changed.notify_all();
        };
        disk = Disk::open(make_fault_device(std::move(main), "main", plan),
                          make_fault_device(std::move(spare), "spare", plan), options);
    }
    ~LargePair() { disk.reset(); }
    bool scan(std::uint64_t sector = 0, std::uint64_t count = 0) {
        const unsigned before = ended;
        if (disk->scan(ScanOrder::start, sector, count) != 0) return false;
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, std::chrono::minutes(2), [&] { return ended > before; });
    }
    void set(const std::string& name, std::uint32_t value) {
        for (const ParameterRule& rule : parameter_rules()) {
            if (rule.name == name) {
                EXPECT_EQ(disk->set_parameter(rule, value), 0);
            }
        }
    }
    std::map<std::uint64_t, std::uint8_t> lost() const {
        std::map<std::uint64_t, std::uint8_t> masks;
        disk->list_remaps([&](const RemapInfo& remap) { masks[remap.sector / 8] = remap.lost; });
        return masks;
    }

    const std::uint64_t main_size;
    std::shared_ptr<FaultPlan> plan = FaultPlan::parse("");
    std::mutex mutex;
    std::condition_variable changed;
    unsigned ended = 0;
    std::unique_ptr<Disk> disk;
};

TEST(Scan, AllBadSectorsOfALargeDiskAreFoundNoneInventedInBoundedReads) {
#ifdef __SANITIZE_THREAD__
    LargePair pair(256 * kMiB);  // every byte costs a look
#else
    LargePair pair(4096 * kMiB);
#endif
    const std::uint64_t sectors = pair.main_size / kSector;
    std::set<std::uint64_t> bad;
    std::mt19937_64 chance(42);
    for (int i = 0; i < 60; i++) bad.insert(chance() % sectors);
    for (int cluster = 0; cluster < 6; cluster++) {
        const std::uint64_t from = chance() % (sectors - 300);
        for (std::uint64_t i = 0; i < 20 + chance() % 200; i++) bad.insert(from + i);
    }
    bad.insert({0, sectors - 1, 2047, 2048});
    std::map<std::uint64_t, std::uint8_t> expected;
    for (const std::uint64_t sector : bad) {
        pair.plan->fail_reads(FaultRole::main, sector, 1);
        expected[sector / 8] |= static_cast<std::uint8_t>(1 << sector % 8);
    }
    const std::uint64_t before = pair.plan->calls(FaultRole::main, Op::read);
    ASSERT_TRUE(pair.scan());
    const std::uint64_t reads = pair.plan->calls(FaultRole::main, Op::read) - before;
    EXPECT_EQ(pair.lost(), expected);
    EXPECT_EQ(pair.disk->status().scan.found, expected.size());
    // Each bad block: the way down, the healer's reads (alone; whole; by logical block, the bad
    // ones three times), and the breaker's probe. Else each region once; twice where the machine
    // was busy with something else, so that the read seemed slow.
    const std::uint64_t most =
        2 * pair.main_size / kRegionSize + expected.size() * (16 + 2 + 8 * 3 + 1);
    EXPECT_LE(reads, most);
    RecordProperty("reads", std::to_string(reads));
    // A second pass finds nothing new.
    ASSERT_TRUE(pair.scan());
    EXPECT_EQ(pair.lost(), expected);
    EXPECT_EQ(pair.disk->status().scan.found, 0u);
}

// Each of these takes as long as its delays are; nothing is measured but by the scan itself. Under
// ThreadSanitizer a read from memory takes too long for 400 ms to be slow.
#ifdef __SANITIZE_THREAD__
#define NEEDS_A_FAST_DEVICE GTEST_SKIP() << "memory is too slow under ThreadSanitizer"
#else
#define NEEDS_A_FAST_DEVICE static_cast<void>(0)
#endif

TEST(Scan, SlowSectorsAreToldFromADeviceThatIsFast) {
    NEEDS_A_FAST_DEVICE;
    LargePair pair(100 * kMiB);
    pair.plan->slow(FaultRole::main, 70 * 2048 + 8, 1, 400);
    pair.plan->slow(FaultRole::main, 90 * 2048 + 803, 2, 400);
    ASSERT_TRUE(pair.scan());
    std::vector<std::uint64_t> found;
    for (const WeakBlock& weak : pair.disk->weak_blocks()) {
        found.push_back(weak.sector);
        EXPECT_GE(weak.ns, 400'000'000u);
    }
    EXPECT_EQ(found, (std::vector<std::uint64_t>{70 * 2048 + 8, 90 * 2048 + 800}));
    EXPECT_TRUE(pair.lost().empty()) << "listed, not moved";
    // They are forgotten once they are well.
    pair.plan->clear(FaultRole::main);
    ASSERT_TRUE(pair.scan());
    EXPECT_TRUE(pair.disk->weak_blocks().empty());
}

TEST(Scan, P1_WeakBlocksAreMovedWithTheirDataWhereThatIsWanted) {
    NEEDS_A_FAST_DEVICE;
    LargePair pair(100 * kMiB);
    const auto data = pattern(70 * 2048, 16, 3);
    ASSERT_EQ(pair.disk->write(70 * kMiB, data.data(), data.size()), 0);
    pair.set("relocate_weak", 1);
    pair.plan->slow(FaultRole::main, 70 * 2048 + 8, 1, 400);
    ASSERT_TRUE(pair.scan());
    EXPECT_EQ(pair.lost(), (std::map<std::uint64_t, std::uint8_t>{{70 * 256 + 1, 0}}));
    EXPECT_EQ(pair.disk->find_remap(70 * 2048 + 8)->reason, DMR_REASON_SLOW);
    EXPECT_TRUE(pair.disk->weak_blocks().empty());
    EXPECT_EQ(read_sectors(*pair.disk, 70 * 2048, 16), data);
}

TEST(Scan, ADeviceThatIsSlowEverywhereHasNoWeakBlocks) {
    LargePair pair(100 * kMiB);
    pair.plan->slow(FaultRole::main, 0, 100 * 2048, 8);
    ASSERT_TRUE(pair.scan());
    EXPECT_TRUE(pair.disk->weak_blocks().empty());
    // Nor has one that becomes slow from one pass to the next.
    pair.plan->slow(FaultRole::main, 0, 100 * 2048, 150);
    ASSERT_TRUE(pair.scan());
    EXPECT_TRUE(pair.disk->weak_blocks().empty());
}

// One region alone is too little to learn from: other places tell.
TEST(Scan, ADeviceThatBecomesSlowAtOnceHasNoWeakBlocks) {
    NEEDS_A_FAST_DEVICE;
    LargePair pair(100 * kMiB);
    ASSERT_TRUE(pair.scan());
    pair.plan->slow(FaultRole::main, 0, 100 * 2048, 50);
    ASSERT_TRUE(pair.scan(70 * 2048, 2048));
    EXPECT_TRUE(pair.disk->weak_blocks().empty());
}

TEST(Scan, WhatIsReadOnlyWhenItIsTriedAgainIsWeak) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    // The whole region, and the way down to the block, which fails alone once.
    FaultOptions options;
    options.times = 9;
    pair.plan->fail_reads(FaultRole::main, 803, 1, options);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    ASSERT_EQ(pair.disk->weak_blocks().size(), 1u);
    EXPECT_EQ(pair.disk->weak_blocks().front().sector, 800u);
    EXPECT_TRUE(pair.remaps().empty());
    EXPECT_EQ(pair.disk->status().scan.found, 0u);
    // Once it is moved it is weak no more.
    for (const ParameterRule& rule : parameter_rules()) {
        if (std::string_view(rule.name) == "relocate_weak") {
            EXPECT_EQ(pair.disk->set_parameter(rule, 1), 0);
        }
    }
    pair.plan->fail_reads(FaultRole::main, 803, 1, options);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended, 2));
    EXPECT_EQ(pair.disk->status().scan.weak, 0u);
    EXPECT_TRUE(pair.disk->weak_blocks().empty());
    EXPECT_EQ(pair.remaps().size(), 1u);
}

// Writers, readers and relocations while passes go round: what is read is what was written last.
TEST(Scan, P1_NoByteIsWrongUnderAScan) {
    TestPair pair(Shape{.main_size = 8 * kMiB});
    pair.fill_main(0);
    pair.format();
    pair.open();
    std::atomic<bool> stop{false};
    std::thread scans([&] {
        while (!stop) {
            pair.disk->scan(ScanOrder::start);
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> users;
    for (std::uint64_t user = 0; user < 3; user++) {
        users.emplace_back([&, user] {
            std::mt19937_64 chance(user);
            std::map<std::uint64_t, std::uint32_t> version;  // by block, of this user's blocks
            for (std::uint32_t i = 1; i <= 1500; i++) {
                const std::uint64_t block = chance() % 680 * 3 + user;
                const std::uint64_t sector = block * 8;
                if (chance() % 2 == 0) {
                    ASSERT_EQ(write_sectors(*pair.disk, sector, 8, i), 0);
                    version[block] = i;
                } else {
                    ASSERT_EQ(read_sectors(*pair.disk, sector, 8),
                              pattern(sector, 8, version[block]));
                }
                // Bad from now on: unreadable before anybody but the scan has seen it would be a
                // loss, so only writes fail.
                if (i % 50 == 0) pair.plan->fail_writes(FaultRole::main, sector, 8);
            }
        });
    }
    for (std::thread& user : users) user.join();
    stop = true;
    scans.join();
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_GT(pair.remaps().size(), 0u);
    EXPECT_EQ(pair.disk->status().lost_sectors, 0u);
}

}  // namespace
}  // namespace dmremap::test
