// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/scan_latency.h"

#include <gtest/gtest.h>

namespace dmremap::test {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

TEST(ScanLatency, NothingIsSlowBeforeEnoughIsKnown) {
    ScanLatency latency;
    for (std::uint64_t i = 0; i + 1 < ScanLatency::kEnough; i++) latency.add(kMs);
    EXPECT_EQ(latency.threshold_ns(), 0u);
    EXPECT_FALSE(latency.slow(1000 * kMs));
    latency.add(kMs);
    EXPECT_TRUE(latency.slow(1000 * kMs));
}

TEST(ScanLatency, AFewSlowReadsDoNotRaiseTheThreshold) {
    ScanLatency latency;
    for (int i = 0; i < 1000; i++) latency.add(i % 20 == 0 ? 400 * kMs : 2 * kMs);
    EXPECT_TRUE(latency.slow(100 * kMs));
    EXPECT_FALSE(latency.slow(12 * kMs));
}

TEST(ScanLatency, ASlowDeviceHasNoSlowPlaces) {
    ScanLatency latency;
    for (int i = 0; i < 1000; i++) latency.add((200 + i % 50) * kMs);
    EXPECT_FALSE(latency.slow(600 * kMs));
    EXPECT_TRUE(latency.slow(3000 * kMs));
}

TEST(ScanLatency, ADeviceThatBecomesSlowIsLearntAnew) {
    ScanLatency latency;
    for (int i = 0; i < 5000; i++) latency.add(2 * kMs);
    EXPECT_TRUE(latency.slow(200 * kMs));
    for (int i = 0; i < 20000; i++) latency.add(200 * kMs);
    EXPECT_FALSE(latency.slow(300 * kMs));
}

TEST(ScanLatency, WhatIsQuickIsNeverSlow) {
    ScanLatency latency;
    for (int i = 0; i < 1000; i++) latency.add(10'000);
    EXPECT_FALSE(latency.slow(ScanLatency::kFloorNs));
    EXPECT_TRUE(latency.slow(ScanLatency::kFloorNs + 1));
}

}  // namespace
}  // namespace dmremap::test
