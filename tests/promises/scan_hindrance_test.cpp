// SPDX-License-Identifier: GPL-2.0-or-later
// What stands in the way of a scan: a battery that is low, a head that dies, a main that was
// changed meanwhile. The scan waits, or goes on with what is left; nothing else waits for it.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/engine/gates.h"
#include "core/refusal.h"
#include "tests/support/test_pair.h"
#include "tests/unit/scratch.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kBadRegion = 20;

// False: not within a minute.
bool soon(const std::function<bool()>& happens) {
    for (int i = 0; i < 6000; i++) {
        if (happens()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

// With a clock and a power supply of its own.
struct HinderedPair : TestPair {
    HinderedPair() : TestPair(Shape{.main_size = 64 * kMiB}) {
        fill_main(1);
        format();
        set_cache(true);
    }
    void up() {
        OpenOptions options;
        options.clock.steady = [this] { return steady.load(); };
        options.power_supplies = scratch.path();
        open(options);
    }
    void battery(const char* status, int percent) const {
        const std::filesystem::path supply = scratch.path() + "/BAT0";
        std::filesystem::create_directories(supply);
        std::ofstream(supply / "type") << "Battery\n";
        std::ofstream(supply / "status") << status << "\n";
        std::ofstream(supply / "capacity") << percent << "\n";
    }
    ScanProgress progress() const { return disk->status().scan; }
    bool waits_for(const char* what) const {
        return soon([&] { return progress().state == ScanState::waiting; }) &&
               progress().waits_for == what;
    }
    std::uint64_t cursor() const { return dmr_le64(superblock().scan_cursor); }
    // The scan's read of all of the bad region is held.
    void hold_whole_read() {
        main->set_hook([](const Call& call) {
            return call.op == Op::read && call.offset == kBadRegion * kRegionSize &&
                           call.length == kRegionSize
                       ? Medium::kHold
                       : Medium::kPass;
        });
    }
    // Reads of the bad region take a minute each; all after the first `passing` are held.
    void hold_bad_region(unsigned passing) {
        reads = 0;
        main->set_hook([this, passing](const Call& call) {
            if (call.op != Op::read || call.offset / kRegionSize != kBadRegion) {
                return Medium::kPass;
            }
            if (reads++ >= passing) return Medium::kHold;
            steady += 60;
            return Medium::kPass;
        });
    }
    void let_go() {
        main->set_hook(nullptr);
        main->release();
    }

    const ScratchDir scratch;
    std::atomic<std::uint64_t> steady{1000};
    std::atomic<unsigned> reads{0};
};

TEST(ScanHindrance, ALowBatteryIsWaitedFor) {
    HinderedPair pair;
    pair.battery("Discharging", 19);
    pair.up();
    std::atomic<unsigned> reads{0};
    pair.main->set_hook([&reads](const Call& call) {
        reads += call.op == Op::read && call.length == kRegionSize ? 1 : 0;
        return Medium::kPass;
    });
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.waits_for("the battery to be charged"));
    EXPECT_EQ(reads, 0u);
    EXPECT_EQ(pair.disk->scan(ScanOrder::stop), 0);
    EXPECT_EQ(pair.progress().state, ScanState::idle);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.waits_for("the battery to be charged"));
    pair.battery("Charging", 19);
    pair.steady += 60;
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended, 2));
    EXPECT_GE(reads, 64u) << "some perhaps twice, for they seemed slow";
    pair.main->set_hook(nullptr);
}

TEST(ScanHindrance, ABatteryThatRunsDownStopsAPassInItsMiddle) {
    HinderedPair pair;
    pair.battery("Discharging", 20);
    pair.up();
    pair.hold_whole_read();
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    pair.battery("Discharging", 19);
    pair.steady += 60;
    pair.let_go();
    ASSERT_TRUE(pair.waits_for("the battery to be charged"));
    const std::uint64_t done = pair.progress().done_sectors;
    EXPECT_LE(done, (kBadRegion + 4) * 2048) << "four reads were in flight at most";
    EXPECT_FALSE(pair.saw(EventKind::scan_ended));
    pair.battery("Full", 100);
    pair.steady += 60;
    EXPECT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_EQ(pair.progress().passes, 1u);
}

// A read that does not come back for minutes: the cursor is kept all the same, others are served
// and healed, and an order is in force at once.
TEST(ScanHindrance, AReadThatTakesMinutesHoldsNothingElseUp) {
    HinderedPair pair;
    pair.up();
    pair.hold_whole_read();
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    // What was read before is done with, so that the scan waits for that read alone.
    ASSERT_TRUE(soon([&] { return pair.progress().done_sectors >= kBadRegion * 2048; }));
    pair.steady += 60;
    EXPECT_TRUE(soon([&] { return pair.cursor() >= (kBadRegion - 4) * 256; })) << pair.cursor();
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 1));
    pair.plan->fail_writes(FaultRole::main, 80, 8);
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    EXPECT_EQ(read_sectors(*pair.disk, kBadRegion * 2048 - 8, 8),
              pattern(kBadRegion * 2048 - 8, 8, 1));
    EXPECT_EQ(pair.disk->scan(ScanOrder::pause), 0);
    EXPECT_EQ(pair.progress().state, ScanState::paused);
    EXPECT_EQ(pair.disk->scan(ScanOrder::resume), 0);
    EXPECT_EQ(pair.disk->scan(ScanOrder::stop), 0);
    EXPECT_EQ(pair.progress().state, ScanState::idle);
    EXPECT_EQ(dmr_le32(pair.superblock().scan_state), std::uint32_t{DMR_SCAN_NONE});
    pair.let_go();
}

// All of a region times out after a minute each: what was found is relocated and survives, long
// before the region is known to its end.
TEST(ScanHindrance, P3_ADyingHeadLosesNotWhatWasFound) {
    HinderedPair pair;
    pair.up();
    pair.main->set_fault(kBadRegion * 2048, 2048, {.read = true, .error = ETIMEDOUT});
    pair.hold_bad_region(300);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    EXPECT_GE(pair.cursor(), (kBadRegion - 4) * 256);
    const std::size_t found = pair.remaps().size();
    EXPECT_GE(found, 5u);
    pair.power->cut_now();
    pair.let_go();
    pair.crash();
    pair.up();
    EXPECT_GE(pair.remaps().size(), found);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    EXPECT_EQ(pair.remaps().size(), 256u);
    EXPECT_EQ(pair.progress().found_ever, 256u) << "what the crash took is not counted twice";
    EXPECT_EQ(pair.progress().passes, 1u);
}

// A stopped pass has found what it has found.
TEST(ScanHindrance, WhatAStoppedPassFoundIsCounted) {
    HinderedPair pair;
    pair.up();
    pair.main->set_fault(kBadRegion * 2048, 2048, {.read = true, .error = ETIMEDOUT});
    pair.hold_bad_region(300);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    std::thread stop([&] { EXPECT_EQ(pair.disk->scan(ScanOrder::stop), 0); });
    EXPECT_TRUE(soon([&] { return pair.progress().state == ScanState::idle; })) << "at once";
    pair.let_go();
    stop.join();
    EXPECT_TRUE(soon([&] { return pair.progress().found_ever == pair.remaps().size(); }))
        << pair.progress().found_ever << " of " << pair.remaps().size();
}

// Main was written elsewhere while a pass rested: the scan goes on over what is there now.
TEST(ScanHindrance, P7_AMainThatWasChangedMeanwhileDoesNotConfuseIt) {
    HinderedPair pair;
    pair.up();
    pair.plan->fail_reads(FaultRole::main, 803, 1);
    pair.plan->fail_reads(FaultRole::main, 50 * 2048, 1);
    pair.hold_whole_read();
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.main->wait_held(1));
    ASSERT_EQ(pair.disk->scan(ScanOrder::pause), 0);
    pair.let_go();
    pair.close();
    const std::uint64_t cursor = pair.cursor();
    EXPECT_GE(cursor, (kBadRegion - 4) * 256);
    pair.fill_main(7);
    EXPECT_THROW(pair.up(), Refusal);
    OpenOptions options;
    options.accept_changed_main = true;
    pair.open(options);
    EXPECT_EQ(pair.progress().done_sectors, cursor * 8);
    ASSERT_EQ(pair.disk->scan(ScanOrder::resume), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    ASSERT_EQ(pair.remaps().size(), 2u);
    EXPECT_EQ(pair.remaps().back().sector, 50 * 2048u);
    EXPECT_EQ(read_sectors(*pair.disk, 50 * 2048 + 8, 800), pattern(50 * 2048 + 8, 800, 7));
    EXPECT_EQ(read_sectors(*pair.disk, 800, 3), pattern(800, 3, 1)) << "the slot, not main";
    EXPECT_EQ(read_sectors(*pair.disk, 16, 8), pattern(16, 8, 7));
}

}  // namespace
}  // namespace dmremap::test
