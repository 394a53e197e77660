// SPDX-License-Identifier: GPL-2.0-or-later
// What a scan suspects and cannot act on at once is not acquitted by that; what is only weak does
// not count against main.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kRegion = 90;  // far enough in that the scan knows the device's pace
constexpr std::uint64_t kBad = kRegion * 256 + 7;

// All of a region takes a second, its blocks one by one take none, and one of them fails. Main does
// not answer when the healer looks at that one: the scan waits, and looks at it again.
TEST(ScanSuspects, P5_WhatFailedAloneWhileItCouldNotBeHealedIsLookedAtAgain) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "memory is too slow under ThreadSanitizer for a second to be";
#endif
    TestPair pair(Shape{.main_size = 100 * kMiB});
    pair.fill_main(1);
    pair.format();
    pair.open();
    std::atomic<unsigned> alone{0};
    pair.main->set_hook([&alone](const Call& call) -> int {
        if (call.op != Op::read || call.offset / kMiB != kRegion) return Medium::kPass;
        if (call.length == kMiB) std::this_thread::sleep_for(std::chrono::seconds(1));
        if (call.offset / kBlock != kBad) return Medium::kPass;
        if (call.length == kBlock) return ++alone == 2 ? ENODEV : EIO;
        return call.offset == kBad * kBlock + kSector && call.length == kSector ? EIO
                                                                                : Medium::kPass;
    });
    // The region is no suspect in a pass in which the machine was slower still.
    for (std::size_t pass = 1; pass <= 20 && alone == 0; pass++) {
        ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
        ASSERT_TRUE(pair.wait_for(EventKind::scan_ended, pass));
    }
    ASSERT_GE(alone, 2u);
    EXPECT_TRUE(pair.saw(EventKind::device_gone));
    const auto remap = pair.remap_of(kBad);
    ASSERT_TRUE(remap);
    EXPECT_EQ(remap->lost, 1u << 1);
    EXPECT_EQ(pair.disk->status().scan.found, 1u);
    pair.main->set_hook(nullptr);
}

// Its data was read in the end, so main answers.
TEST(ScanSuspects, P6_WeakBlocksThatAreMovedTripNoBreaker) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.edit_superblocks([](dmr_superblock& sb) {
        sb.breaker_regions = dmr_to_le32(1);
        sb.relocate_weak = dmr_to_le32(1);
    });
    pair.open();
    // The whole region, and the way down to the block, which fails alone once.
    FaultOptions options;
    options.times = 9;
    pair.plan->fail_reads(FaultRole::main, 803, 1, options);
    ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    ASSERT_TRUE(pair.wait_for(EventKind::scan_ended));
    const auto remap = pair.remap_of(100);
    ASSERT_TRUE(remap);
    EXPECT_EQ(remap->reason, DMR_REASON_SLOW);
    EXPECT_EQ(remap->lost, 0u);
    EXPECT_FALSE(pair.saw(EventKind::breaker_tripped));
    EXPECT_EQ(read_sectors(*pair.disk, 800, 8), pattern(800, 8, 1));
}

}  // namespace
}  // namespace dmremap::test
