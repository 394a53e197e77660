// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/init_exchange.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace dmremap {
namespace {

std::vector<std::byte> message(std::uint32_t opcode, std::uint32_t flags, std::uint32_t flags2) {
    fuse_in_header header{};
    header.opcode = opcode;
    fuse_init_in init{};
    init.flags = flags;
    init.flags2 = flags2;
    std::vector<std::byte> bytes(sizeof(header) + sizeof(init));
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + sizeof(header), &init, sizeof(init));
    return bytes;
}

TEST(InitExchange, AnOfferNeedsItsBitAndTheOneThatSaysItIsThere) {
    EXPECT_TRUE(offers_io_uring(message(FUSE_INIT, FUSE_INIT_EXT, kInitOverIoUring2)));
    EXPECT_FALSE(offers_io_uring(message(FUSE_INIT, FUSE_INIT_EXT, ~kInitOverIoUring2)));
    EXPECT_FALSE(offers_io_uring(message(FUSE_INIT, 0, kInitOverIoUring2)));
    EXPECT_FALSE(offers_io_uring(message(FUSE_GETATTR, FUSE_INIT_EXT, kInitOverIoUring2)));
}

TEST(InitExchange, AnOlderKernelsShorterMessageOffersNothing) {
    auto bytes = message(FUSE_INIT, FUSE_INIT_EXT, kInitOverIoUring2);
    bytes.resize(sizeof(fuse_in_header) + 16);
    EXPECT_FALSE(offers_io_uring(bytes));
    EXPECT_FALSE(offers_io_uring({}));
}

TEST(InitExchange, TheAnswerKeepsAllElse) {
    fuse_init_out init{};
    init.major = 7;
    init.flags = FUSE_BIG_WRITES;
    init.flags2 = 1;
    init.max_write = 1u << 20;
    std::vector<std::byte> bytes(sizeof(init));
    std::memcpy(bytes.data(), &init, sizeof(init));
    ASSERT_TRUE(take_io_uring(bytes));
    std::memcpy(&init, bytes.data(), sizeof(init));
    EXPECT_EQ(init.flags, FUSE_BIG_WRITES | FUSE_INIT_EXT);
    EXPECT_EQ(init.flags2, 1 | kInitOverIoUring2);
    EXPECT_EQ(init.major, 7u);
    EXPECT_EQ(init.max_write, 1u << 20);
}

TEST(InitExchange, AnAnswerOfAnOldProtocolIsLeftAlone) {
    std::vector<std::byte> bytes(24), before = bytes;
    EXPECT_FALSE(take_io_uring(bytes));
    EXPECT_EQ(bytes, before);
}

}  // namespace
}  // namespace dmremap
