// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/scan_pace.h"

#include <gtest/gtest.h>

namespace dmremap::test {
namespace {

constexpr std::uint64_t kMs = 1'000'000, kSecond = 1'000'000'000;

TEST(ScanPace, WithoutUsersAndLimitThereIsNoPause) {
    ScanPace pace;
    pace.begin(kSecond, {});
    pace.reading(kSecond, 1 << 20, 0);
    pace.has_read(kSecond + kMs, kMs);
    pace.look(2 * kSecond, {});
    EXPECT_LE(pace.next(), kSecond);
    EXPECT_FALSE(pace.busy());
}

TEST(ScanPace, ALimitHoldsOverManyReads) {
    ScanPace pace;
    std::uint64_t now = kSecond;
    pace.begin(now, {});
    for (int i = 0; i < 100; i++) {
        now = std::max(now, pace.next());
        pace.reading(now, 1 << 20, 10 * 1024);  // 10 MiB/s
        pace.has_read(now + kMs, kMs);
    }
    EXPECT_GE(pace.next() - kSecond, 10 * kSecond - kMs);
    EXPECT_LE(pace.next() - kSecond, 10 * kSecond + kMs);
}

TEST(ScanPace, AQuietTimeEarnsNoBurst) {
    ScanPace pace;
    pace.begin(0, {});
    pace.reading(100 * kSecond, 1 << 20, 1024);
    EXPECT_EQ(pace.next(), 101 * kSecond);
}

TEST(ScanPace, UnderConstantLoadItReadsAHundredthOfTheTime) {
    ScanPace pace;
    pace.begin(0, {});
    pace.look(kSecond, {100, kSecond});
    EXPECT_TRUE(pace.busy());
    pace.has_read(kSecond, 10 * kMs);
    EXPECT_NEAR(static_cast<double>(pace.next() - kSecond), 990e6, 1e6);
}

TEST(ScanPace, ASlowDeviceUnderLoadIsReadAllTheSame) {
    ScanPace pace;
    pace.begin(0, {});
    pace.look(kSecond, {100, 30 * kSecond});
    pace.has_read(kSecond, 10 * kSecond);
    EXPECT_EQ(pace.next(), kSecond + ScanPace::kLongestNs);
}

TEST(ScanPace, LittleLoadCostsLittle) {
    ScanPace pace;
    pace.begin(0, {});
    pace.look(kSecond, {5, 5 * kMs});
    pace.has_read(kSecond, 10 * kMs);
    EXPECT_TRUE(pace.busy());
    EXPECT_LT(pace.next() - kSecond, kMs);
    pace.look(2 * kSecond, {5, 5 * kMs});
    EXPECT_FALSE(pace.busy());
}

}  // namespace
}  // namespace dmremap::test
