// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/uring_shares.h"

#include <gtest/gtest.h>

namespace dmremap {
namespace {

constexpr unsigned kLook = UringShares::kLook;

void let_come(UringShares& shares, std::uint16_t queue, std::size_t loop, unsigned requests) {
    for (unsigned i = 0; i < requests; i++) shares.came(queue, loop);
}

TEST(UringShares, WhoseQueueComesToOneLoopAloneGivesToAnother) {
    UringShares shares(1, 2);
    for (std::size_t loop = 0; loop < 2; loop++) shares.join(0, loop);
    let_come(shares, 0, 0, kLook - 1);
    EXPECT_EQ(shares.heir(0, 0), 0u) << "too soon";
    let_come(shares, 0, 0, 1);
    EXPECT_EQ(shares.heir(0, 0), 1u);
}

TEST(UringShares, EachLookNeedsAsManyRequestsAgain) {
    UringShares shares(1, 2);
    for (std::size_t loop = 0; loop < 2; loop++) shares.join(0, loop);
    let_come(shares, 0, 0, kLook);
    EXPECT_EQ(shares.heir(0, 0), 1u);
    EXPECT_EQ(shares.heir(0, 0), 0u);
    let_come(shares, 0, 0, kLook - 1);
    EXPECT_EQ(shares.heir(0, 0), 0u);
    let_come(shares, 0, 0, 1);
    EXPECT_EQ(shares.heir(0, 0), 1u) << "none came to it since";
}

TEST(UringShares, ALoopThatRequestsCameToIsNotPassedOver) {
    UringShares shares(1, 2);
    for (std::size_t loop = 0; loop < 2; loop++) shares.join(0, loop);
    for (int round = 0; round < 5; round++) {
        let_come(shares, 0, 0, kLook);
        let_come(shares, 0, 1, 1);
        EXPECT_EQ(shares.heir(0, 0), 0u);
    }
    let_come(shares, 0, 0, kLook);
    EXPECT_EQ(shares.heir(0, 0), 1u) << "what came to it before the last look is over";
}

TEST(UringShares, WhoHasNoEntriesOfTheQueueInheritsNone) {
    UringShares shares(2, 3);
    shares.join(0, 0);
    shares.join(0, 2);
    shares.join(1, 1);
    let_come(shares, 0, 0, kLook);
    EXPECT_EQ(shares.heir(0, 0), 2u);
    let_come(shares, 1, 1, kLook);
    EXPECT_EQ(shares.heir(1, 1), 1u);
}

TEST(UringShares, QueuesAreApart) {
    UringShares shares(2, 2);
    for (std::uint16_t queue = 0; queue < 2; queue++)
        for (std::size_t loop = 0; loop < 2; loop++) shares.join(queue, loop);
    let_come(shares, 1, 0, kLook);
    EXPECT_EQ(shares.heir(0, 0), 0u) << "none came by this queue";
    let_come(shares, 0, 0, kLook);
    let_come(shares, 1, 1, kLook);
    EXPECT_EQ(shares.heir(0, 0), 1u) << "what comes by another queue is no share of this one";
}

TEST(UringShares, OneAfterTheOtherAllOfTheQueuesLoopsGetSome) {
    UringShares shares(1, 4);
    for (std::size_t loop = 0; loop < 4; loop++) shares.join(0, loop);
    for (std::size_t served = 1; served < 4; served++) {
        for (std::size_t loop = 0; loop < served; loop++) let_come(shares, 0, loop, kLook);
        EXPECT_EQ(shares.heir(0, 0), served);
    }
    for (std::size_t loop = 0; loop < 4; loop++) let_come(shares, 0, loop, kLook);
    EXPECT_EQ(shares.heir(0, 0), 0u);
}

}  // namespace
}  // namespace dmremap
