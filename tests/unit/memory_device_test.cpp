// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/memory_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "core/refusal.h"

namespace dmremap {
namespace {

using Bytes = std::vector<std::byte>;

Bytes filled(std::size_t size, unsigned value) { return Bytes(size, std::byte(value)); }

Bytes read_all(Device& device, std::uint64_t offset, std::size_t length) {
    Bytes data = filled(length, 0xEE);
    EXPECT_EQ(device.read(offset, data.data(), length), 0);
    return data;
}

TEST(MemoryDevice, BeginsAsZerosAndSaysWhatItIs) {
    const auto device = make_memory_device("m", 1 << 20, 512, 4096);
    EXPECT_EQ(device->info().name, "m");
    EXPECT_EQ(device->info().size, 1U << 20);
    EXPECT_EQ(device->info().logical_block, 512U);
    EXPECT_EQ(device->info().physical_block, 4096U);
    EXPECT_EQ(device->info().identity, "serial=m\nsize=1048576\n");
    EXPECT_FALSE(device->info().read_only);
    EXPECT_EQ(read_all(*device, 0, 1 << 20), filled(1 << 20, 0));
}

TEST(MemoryDevice, ReadsBackWhatWasWrittenAndNothingElse) {
    const auto device = make_memory_device("m", 1 << 20);
    const Bytes data = filled(1536, 0x5A);
    ASSERT_EQ(device->write(1024, data.data(), data.size()), 0);
    EXPECT_EQ(device->flush(), 0);
    EXPECT_EQ(read_all(*device, 1024, 1536), data);
    EXPECT_EQ(read_all(*device, 0, 1024), filled(1024, 0));
    EXPECT_EQ(read_all(*device, 2560, 1024), filled(1024, 0));
}

TEST(MemoryDevice, ZeroesExactlyTheRangeSmallOrLarge) {
    for (const std::uint64_t length : {512U, 4096U, 64U * 1024, 300U * 1024 + 512}) {
        for (const std::uint64_t offset : {0U, 512U, 4096U, 8192U - 512}) {
            const auto device = make_memory_device("m", 1 << 20);
            const Bytes ones = filled(1 << 20, 0xFF);
            ASSERT_EQ(device->write(0, ones.data(), ones.size()), 0);
            ASSERT_EQ(device->zero(offset, length), 0);
            Bytes expected = ones;
            std::memset(expected.data() + offset, 0, length);
            EXPECT_TRUE(read_all(*device, 0, 1 << 20) == expected) << offset << "+" << length;
        }
    }
}

TEST(MemoryDevice, DiscardLeavesOldDataOrZerosInsideAndNothingChangedOutside) {
    const auto device = make_memory_device("m", 1 << 20);
    const Bytes ones = filled(1 << 20, 0xFF);
    ASSERT_EQ(device->write(0, ones.data(), ones.size()), 0);
    ASSERT_EQ(device->discard(512, 100 * 1024), 0);
    const Bytes now = read_all(*device, 0, 1 << 20);
    for (std::size_t i = 0; i < now.size(); ++i) {
        const bool inside = i >= 512 && i < 512 + 100 * 1024;
        ASSERT_TRUE(now[i] == std::byte{0xFF} || (inside && now[i] == std::byte{0})) << i;
    }
}

TEST(MemoryDevice, RefusesCallsOutsideOrMisaligned) {
    const auto device = make_memory_device("m", 1 << 20, 4096, 4096);
    Bytes data = filled(8192, 0x11);
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    const struct {
        std::uint64_t offset, length;
    } bad[] = {
        {1 << 20, 4096},
        {(1 << 20) - 4096, 8192},
        {512, 4096},
        {0, 512},
        {kMax, 4096},
        {kMax - 4095, 4096},
        {kMax - 4095, 8192},
        {4096, kMax - 4095},
        {0, kMax},
        {kMax, kMax},
        {(1 << 20) + 4096, 0},
    };
    for (const auto& [offset, length] : bad) {
        EXPECT_EQ(device->read(offset, data.data(), length), EINVAL) << offset << "+" << length;
        EXPECT_EQ(device->write(offset, data.data(), length), EINVAL) << offset << "+" << length;
        EXPECT_EQ(device->zero(offset, length), EINVAL) << offset << "+" << length;
        EXPECT_EQ(device->discard(offset, length), EINVAL) << offset << "+" << length;
    }
    EXPECT_EQ(read_all(*device, 0, 1 << 20), filled(1 << 20, 0));
    EXPECT_EQ(device->write((1 << 20) - 4096, data.data(), 4096), 0);
    EXPECT_EQ(device->zero(1 << 20, 0), 0);
}

TEST(MemoryDevice, IsSparse) {
    // More than any machine that runs this has: only what is written may cost memory.
    const std::uint64_t size = std::uint64_t{1} << 40;
    const auto device = make_memory_device("huge", size);
    const Bytes data = filled(512, 0x77);
    ASSERT_EQ(device->write(size - 512, data.data(), 512), 0);
    ASSERT_EQ(device->zero(0, size - 512), 0);
    ASSERT_EQ(device->discard(0, size - 4096), 0);
    EXPECT_EQ(read_all(*device, size - 512, 512), data);
}

TEST(MemoryDevice, ContentOutlivesTheDeviceInItsImage) {
    const auto image = std::make_shared<MemoryImage>(1 << 20);
    const Bytes data = filled(512, 0x42);
    auto device = make_memory_device(image, "first");
    ASSERT_EQ(device->write(4096, data.data(), 512), 0);
    device.reset();
    EXPECT_EQ(image->bytes()[4096], std::byte{0x42});
    image->bytes()[4097] = std::byte{0x43};
    device = make_memory_device(image, "second", 512, 4096);
    EXPECT_EQ(device->info().identity, "serial=second\nsize=1048576\n");
    Bytes expected = data;
    expected[1] = std::byte{0x43};
    EXPECT_EQ(read_all(*device, 4096, 512), expected);
}

TEST(MemoryDevice, ACopyOfAnImageGoesItsOwnWay) {
    MemoryImage image((1 << 20) + 512);
    image.bytes()[5] = std::byte{1};
    image.bytes()[1 << 20] = std::byte{2};
    const auto twin = image.copy();
    ASSERT_EQ(twin->size(), image.size());
    EXPECT_TRUE(std::ranges::equal(twin->bytes(), image.bytes()));
    image.bytes()[5] = std::byte{9};
    EXPECT_EQ(twin->bytes()[5], std::byte{1});
}

TEST(MemoryDevice, RefusesWhatMakesNoDevice) {
    EXPECT_THROW(make_memory_device("m", 0), Refusal);
    EXPECT_THROW(make_memory_device("m", 1000), Refusal);
    EXPECT_THROW(make_memory_device("m", 4096 + 512, 4096, 4096), Refusal);
    EXPECT_THROW(make_memory_device("m", 4096, 256, 4096), Refusal);
    EXPECT_THROW(make_memory_device("m", 4096, 1536, 4096), Refusal);
    EXPECT_THROW(make_memory_device("m", 4096, 4096, 512), Refusal);
    EXPECT_THROW(make_memory_device("m", std::numeric_limits<std::uint64_t>::max() - 511), Refusal);
}

TEST(MemoryDevice, TakesCallsFromManyThreads) {
    const auto device = make_memory_device("m", 4 << 20);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back([&device, t] {
            for (unsigned i = 0; i < 512; ++i) {
                const std::uint64_t offset = (std::uint64_t{i} * 4 + t) * 2048;
                const Bytes data = filled(2048, t * 50 + i % 50 + 1);
                EXPECT_EQ(device->write(offset, data.data(), data.size()), 0);
                EXPECT_EQ(device->flush(), 0);
                EXPECT_EQ(read_all(*device, offset, 2048), data);
            }
        });
    for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace dmremap
