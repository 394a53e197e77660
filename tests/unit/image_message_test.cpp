// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/image_message.h"

#include <gtest/gtest.h>

namespace dmremap::test {
namespace {

fuse_write_in write_message(std::uint32_t flags, std::uint32_t write_flags) {
    fuse_write_in in{};
    in.offset = 8192;
    in.size = 4096;
    in.flags = flags;
    in.write_flags = write_flags;
    return in;
}

void ask(ImageRequest& request, const fuse_write_in& in, std::size_t there = 4096) {
    ask_write(request, reinterpret_cast<const std::byte*>(&in), there);
}

TEST(ImageMessage, AWriteIsDurableWhereItIsAskedToBe) {
    ImageRequest request;
    for (const int flags : {O_DSYNC, O_SYNC, O_SYNC | O_DIRECT}) {
        ask(request, write_message(static_cast<std::uint32_t>(flags) | O_RDWR, 0));
        EXPECT_TRUE(request.durable) << flags;
        ask(request, write_message(O_RDWR | O_DIRECT | O_APPEND, 0));
        EXPECT_FALSE(request.durable) << "the request is used again";
    }
    EXPECT_EQ(request.op, Op::write);
    EXPECT_EQ(request.offset, 8192u);
    EXPECT_EQ(request.length, 4096u);
}

TEST(ImageMessage, WhatGoesPastTheCacheNamesALockOwner) {
    ImageRequest request;
    ask(request, write_message(O_RDWR, FUSE_WRITE_LOCKOWNER));
    EXPECT_TRUE(request.past_cache);
    ask(request, write_message(O_RDWR | O_DIRECT, FUSE_WRITE_CACHE));
    EXPECT_FALSE(request.past_cache) << "written back from a mapping";
    fuse_read_in in{};
    in.size = 4096;
    in.read_flags = FUSE_READ_LOCKOWNER;
    request.durable = true;
    ask_read(request, reinterpret_cast<const std::byte*>(&in), 1u << 20);
    EXPECT_TRUE(request.past_cache);
    EXPECT_FALSE(request.durable);
    in.read_flags = 0;
    in.flags = O_DIRECT;
    ask_read(request, reinterpret_cast<const std::byte*>(&in), 1u << 20);
    EXPECT_FALSE(request.past_cache) << "read for a mapping of a file opened so";
}

TEST(ImageMessage, NoMoreThanThereIs) {
    ImageRequest request;
    ask(request, write_message(0, 0), 512);
    EXPECT_EQ(request.length, 512u);
    fuse_read_in in{};
    in.size = ~0u;
    ask_read(request, reinterpret_cast<const std::byte*>(&in), 4096);
    EXPECT_EQ(request.length, 4096u);
}

}  // namespace
}  // namespace dmremap::test
