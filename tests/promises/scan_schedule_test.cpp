// SPDX-License-Identifier: GPL-2.0-or-later
// When scans begin by themselves, and that they go on where they were: after a restart, after a
// crash, and whatever the clock does.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/engine/gates.h"
#include "core/parameter_rules.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kHour = 3600, kDay = 24 * kHour, kMiB = 1 << 20;

struct ClockedPair : TestPair {
    ClockedPair() : TestPair(Shape{.main_size = 64 * kMiB}) {
        format();
        edit_superblocks([](dmr_superblock& sb) { sb.created = dmr_to_le64(1); });
    }
    void up() {
        OpenOptions options;
        options.clock.wall = [this] { return wall.load(); };
        options.clock.steady = [this] { return steady.load(); };
        open(options);
    }
    void reopen_with_clock() {
        close();
        up();
    }
    void pass(std::uint64_t seconds) {
        wall += seconds;
        steady += seconds;
    }
    // So that the scanner looks at its clock now; it does within a minute by itself.
    void poke() {
        for (const ParameterRule& rule : parameter_rules()) {
            if (rule.name == std::string("scan_interval_hours")) {
                EXPECT_EQ(disk->set_parameter(rule, 24), 0);
            }
        }
    }
    std::uint64_t next() { return disk->status().scan.next_in_seconds; }
    void scan_once() {
        const auto ends = ended();
        ASSERT_EQ(disk->scan(ScanOrder::start), 0);
        ASSERT_TRUE(wait_for(EventKind::scan_ended, ends + 1));
    }
    std::size_t ended() const {
        std::size_t n = 0;
        for (const Event& event : events()) n += event.kind == EventKind::scan_ended ? 1 : 0;
        return n;
    }

    std::atomic<std::uint64_t> wall{1'700'000'000}, steady{1000};
};

TEST(ScanSchedule, ANewPairStartsNoPassByItself) {
    ClockedPair pair;
    pair.up();
    pair.pass(1000 * kDay);
    pair.poke();
    EXPECT_FALSE(pair.disk->status().scan.scheduled);
    pair.close();
    pair.up();
    pair.pass(1000 * kDay);
    pair.poke();
    give_a_bug_time([&] { return pair.saw(EventKind::scan_started); });
    EXPECT_FALSE(pair.saw(EventKind::scan_started));
}

TEST(ScanSchedule, ThenOneIsDueAnIntervalAfterTheEndOfTheLast) {
    ClockedPair pair;
    pair.up();
    pair.scan_once();
    EXPECT_TRUE(pair.disk->status().scan.scheduled);
    EXPECT_EQ(pair.next(), kDay);
    pair.pass(kDay - 1);
    pair.poke();
    EXPECT_EQ(pair.next(), 1u);
    EXPECT_EQ(pair.ended(), 1u);
    pair.pass(1);
    pair.poke();
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended, 2));
    EXPECT_EQ(pair.disk->status().scan.passes, 2u);
    EXPECT_EQ(pair.next(), kDay);
}

TEST(ScanSchedule, TheIntervalIsKeptAcrossRestarts) {
    ClockedPair pair;
    pair.up();
    pair.scan_once();
    pair.pass(10 * kHour);
    pair.close();
    pair.wall += 10 * kHour;
    pair.steady = 5;  // another boot
    pair.up();
    EXPECT_EQ(pair.next(), 4 * kHour);
    pair.pass(4 * kHour);
    pair.poke();
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended, 2));
}

TEST(ScanSchedule, AClockThatJumpsWhileItIsOpenChangesNothing) {
    ClockedPair pair;
    pair.up();
    pair.scan_once();
    pair.wall += 1000 * kDay;
    pair.poke();
    give_a_bug_time([&] { return pair.ended() != 1; });
    EXPECT_EQ(pair.next(), kDay);
    pair.wall = 5;
    pair.poke();
    EXPECT_EQ(pair.next(), kDay);
    EXPECT_EQ(pair.ended(), 1u);
}

TEST(ScanSchedule, M12_AClockSetBackDelaysByAnIntervalAtMost) {
    ClockedPair pair;
    pair.up();
    pair.scan_once();
    pair.close();
    pair.wall -= 400 * kDay;
    pair.up();
    EXPECT_EQ(pair.next(), kDay);
    pair.pass(10 * kHour);
    pair.close();  // it is known now when the clock was seen to be back
    pair.pass(10 * kHour);
    pair.up();
    EXPECT_EQ(pair.next(), 4 * kHour);
}

TEST(ScanSchedule, AClockFarAheadBringsOnePassAndNoMore) {
    ClockedPair pair;
    pair.up();
    pair.scan_once();
    pair.close();
    pair.wall += 9000 * kDay;
    pair.up();
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended, 2));
    pair.close();
    pair.wall -= 9000 * kDay;
    pair.up();
    EXPECT_EQ(pair.next(), kDay);
    pair.pass(kDay);
    pair.poke();
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended, 3));
}

TEST(ScanSchedule, WithoutBackgroundScanningNoneBegins) {
    ClockedPair pair;
    pair.edit_superblocks([](dmr_superblock& sb) { sb.background_scanning = 0; });
    pair.up();
    pair.scan_once();
    pair.pass(1000 * kDay);
    pair.poke();
    EXPECT_FALSE(pair.disk->status().scan.scheduled);
    EXPECT_EQ(pair.ended(), 1u);
}

TEST(ScanSchedule, AStoppedPassIsNotTakenUpAgainAtOnce) {
    ClockedPair pair;
    pair.up();
    pair.scan_once();
    pair.pass(20 * kHour);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_EQ(pair.disk->scan(ScanOrder::stop), 0);
    EXPECT_GE(pair.next(), kDay - 1);
}

// Holds the read of one region, so that a pass stands there.
struct HeldPair : ClockedPair {
    void hold_at(std::uint64_t region) {
        main->set_hook([region](const Call& call) {
            return call.op == Op::read && call.length == kRegionSize &&
                           call.offset == region * kRegionSize
                       ? Medium::kHold
                       : Medium::kPass;
        });
    }
    void let_go() {
        main->set_hook(nullptr);
        main->release();
    }
    // The lowest region that was read since.
    void watch() {
        lowest = ~0ull;
        main->set_hook([this](const Call& call) {
            if (call.op == Op::read && call.length == kRegionSize) {
                std::uint64_t seen = lowest;
                while (call.offset / kRegionSize < seen &&
                       !lowest.compare_exchange_weak(seen, call.offset / kRegionSize)) {
                }
            }
            return Medium::kPass;
        });
    }
    std::atomic<std::uint64_t> lowest{0};
};

TEST(ScanSchedule, ARestartGoesOnWhereItWas) {
    HeldPair pair;
    pair.up();
    pair.hold_at(40);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    std::thread close([&] { pair.close(); });
    pair.let_go();
    close.join();
    const std::uint64_t cursor = dmr_le64(pair.superblock().scan_cursor);
    EXPECT_GT(cursor, 0u);
    if (dmr_le32(pair.superblock().scan_state) == DMR_SCAN_RUNNING) {
        pair.watch();
        pair.up();
        ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
        EXPECT_GE(pair.lowest * kRegionSize / kBlock, cursor / 256 * 256);
    }
}

TEST(ScanSchedule, P3_ACrashInMidScanIsResumed) {
    HeldPair pair;
    pair.set_cache(true);
    pair.up();
    pair.hold_at(40);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    pair.plan->fail_reads(FaultRole::main, 50 * 2048, 1);
    pair.power->cut_now();
    pair.let_go();
    pair.crash();
    pair.up();
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_EQ(pair.remaps().size(), 1u);
    EXPECT_EQ(pair.disk->status().scan.passes, 1u);
}

// The cursor in the superblock moves with the clock, not only with orders and closes.
TEST(ScanSchedule, P3_ACrashLosesAtMostAMinuteOfScanning) {
    HeldPair pair;
    pair.set_cache(true);
    pair.up();
    pair.hold_at(20);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    // The order itself saves it, after the scan has begun.
    EXPECT_LE(dmr_le64(pair.superblock().scan_cursor), 20 * 256u);
    for (const std::uint64_t region : {40, 60}) {
        pair.pass(60);
        pair.hold_at(region);
        pair.main->release();
        ASSERT_TRUE(pair.main->wait_held(1));
        // At most four reads were in flight when the clock moved, 20 regions ago.
        EXPECT_GE(dmr_le64(pair.superblock().scan_cursor), (region - 24) * 256);
    }
    pair.power->cut_now();
    pair.let_go();
    pair.crash();
    const std::uint64_t cursor = dmr_le64(pair.superblock().scan_cursor);
    EXPECT_GE(cursor, 36 * 256u);
    pair.watch();
    pair.up();
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_EQ(pair.lowest, cursor / 256);
    EXPECT_EQ(pair.disk->status().scan.passes, 1u);
}

// Neither an order nor the clock saves a cursor that has left a bad block behind before that one's
// data and entry are safe.
TEST(ScanSchedule, P3_TheCursorPassesNothingThatIsNotRelocated) {
    HeldPair pair;
    pair.set_cache(true);
    pair.up();
    const std::uint64_t bad = 10 * 2048 + 803;
    pair.plan->fail_reads(FaultRole::main, bad, 1);
    pair.main->set_hook([](const Call& call) {  // the first half of the region, on the way down
        return call.op == Op::read && call.length == kRegionSize / 2 ? Medium::kHold
                                                                     : Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    pair.pass(60);
    ASSERT_EQ(pair.disk->scan(ScanOrder::pause), 0);
    EXPECT_LE(dmr_le64(pair.superblock().scan_cursor), bad / 8);
    pair.power->cut_now();
    pair.let_go();
    pair.crash();
    EXPECT_LE(dmr_le64(pair.superblock().scan_cursor), bad / 8);
    pair.up();
    EXPECT_TRUE(pair.remaps().empty());
    ASSERT_EQ(pair.disk->scan(ScanOrder::resume), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    ASSERT_EQ(pair.remaps().size(), 1u);
    EXPECT_EQ(pair.remaps().front().sector, bad / 8 * 8);
}

// From its end, not from its beginning, in a session and over a restart.
TEST(ScanSchedule, ALongPassIsFollowedByAWholeInterval) {
    HeldPair pair;
    pair.up();
    pair.hold_at(40);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    pair.pass(20 * kHour);
    pair.let_go();
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_EQ(pair.next(), kDay);
    pair.reopen_with_clock();
    EXPECT_EQ(pair.next(), kDay);
}

TEST(ScanSchedule, AStoppedPassReadsNoMore) {
    HeldPair pair;
    pair.up();
    pair.hold_at(20);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    ASSERT_EQ(pair.disk->scan(ScanOrder::stop), 0);
    std::atomic<bool> beyond{false};
    pair.main->set_hook([&beyond](const Call& call) {
        beyond = beyond || (call.op == Op::read && call.offset >= 24 * kRegionSize);
        return Medium::kPass;
    });
    pair.main->release();
    give_a_bug_time([&] { return beyond.load(); });
    EXPECT_FALSE(beyond) << "four reads were in flight at most";
    EXPECT_EQ(pair.disk->status().scan.state, ScanState::idle);
    pair.main->set_hook(nullptr);
    pair.reopen_with_clock();
    EXPECT_EQ(pair.ended(), 1u) << "by the order";
}

TEST(ScanSchedule, APauseSurvivesARestart) {
    HeldPair pair;
    pair.up();
    pair.hold_at(40);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    ASSERT_EQ(pair.disk->scan(ScanOrder::pause), 0);
    pair.let_go();
    pair.reopen();
    EXPECT_EQ(pair.disk->status().scan.state, ScanState::paused);
    EXPECT_FALSE(pair.saw(EventKind::scan_ended));
    ASSERT_EQ(pair.disk->scan(ScanOrder::resume), 0);
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended));
}

TEST(ScanSchedule, DaysAreNotedAtAClose) {
    ClockedPair pair;
    pair.up();
    ASSERT_EQ(pair.disk->remap(0, 8).changed, 1u);
    pair.close();
    pair.wall += 2 * kDay;
    pair.up();
    ASSERT_EQ(pair.disk->remap(80, 16).changed, 2u);
    pair.close();
    pair.up();
    const auto days = pair.disk->status().days;
    ASSERT_EQ(days.size(), 2u);
    EXPECT_EQ(days[1].day, days[0].day + 2);
    EXPECT_EQ(days[0].remaps, 1u);
    EXPECT_EQ(days[1].remaps, 3u);
}

}  // namespace
}  // namespace dmremap::test
