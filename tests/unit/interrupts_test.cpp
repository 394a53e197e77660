// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/interrupts.h"

#include <gtest/gtest.h>

namespace dmremap {
namespace {

TEST(Interrupts, ConcernTheRequestTheyName) {
    Interrupts interrupts;
    interrupts.expect(2);
    interrupts.expect(4);
    interrupts.interrupt(4);
    EXPECT_FALSE(interrupts.interrupted(2));
    EXPECT_TRUE(interrupts.interrupted(4));
    interrupts.forget(4);
    EXPECT_FALSE(interrupts.interrupted(4));
}

TEST(Interrupts, AnEarlyOneIsKeptForItsRequest) {
    Interrupts interrupts;
    interrupts.interrupt(6);
    interrupts.expect(4);
    interrupts.expect(6);
    EXPECT_FALSE(interrupts.interrupted(4));
    EXPECT_TRUE(interrupts.interrupted(6));
}

TEST(Interrupts, OfWhatIsNeverExpectedTheLastAreKept) {
    Interrupts interrupts;
    for (std::uint64_t request = 2; request <= 2000; request += 2) interrupts.interrupt(request);
    interrupts.expect(2);
    interrupts.expect(2000);
    EXPECT_FALSE(interrupts.interrupted(2));
    EXPECT_TRUE(interrupts.interrupted(2000));
}

}  // namespace
}  // namespace dmremap
