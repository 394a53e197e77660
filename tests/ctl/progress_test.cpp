// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/progress.h"

#include <gtest/gtest.h>

#include "ctl/text.h"

namespace dmremap::ctl {
namespace {

TEST(Progress, RateAndTimeLeft) {
    EXPECT_EQ(progress_text(1ull << 30, 2ull << 30, 10),
              " 50 %  1.0 GiB of 2.0 GiB  102.4 MiB/s  10 s left");
    EXPECT_EQ(progress_text(0, 1 << 20, 5), "  0 %  0 bytes of 1.0 MiB");
    EXPECT_EQ(progress_text(0, 0, 0), "100 %  0 bytes of 0 bytes");
    EXPECT_EQ(progress_text(1 << 20, 1 << 20, 0), "100 %  1.0 MiB of 1.0 MiB");
    EXPECT_EQ(progress_text(1 << 20, 1 << 20, 5), "100 %  1.0 MiB of 1.0 MiB") << "nothing is left";
    // Work that was half done when it began to be watched.
    EXPECT_EQ(progress_text(6ull << 30, 8ull << 30, 20, 5ull << 30),
              " 75 %  6.0 GiB of 8.0 GiB  51.2 MiB/s  40 s left");
    EXPECT_EQ(progress_text(5ull << 30, 8ull << 30, 20, 5ull << 30), " 62 %  5.0 GiB of 8.0 GiB");
}

TEST(Text, DurationsForPeople) {
    EXPECT_EQ(human_duration(0), "0 ns");
    EXPECT_EQ(human_duration(999), "999 ns");
    EXPECT_EQ(human_duration(1500), "1.5 us");
    EXPECT_EQ(human_duration(41000), "41 us");
    EXPECT_EQ(human_duration(999600), "1.0 ms");
    EXPECT_EQ(human_duration(59000000000), "59 s");
    EXPECT_EQ(human_duration(150000000000), "2 min");
    EXPECT_EQ(human_duration(7500000000000), "2 h 5 min");
}

}  // namespace
}  // namespace dmremap::ctl
