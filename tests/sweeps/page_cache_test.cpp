// SPDX-License-Identifier: GPL-2.0-or-later
// A device that goes through the page cache.
//
// PROVES that it never has two writes or flushes under way at once, of which the kernel could tell
// the wrong one of an error (P9). DOES NOT PROVE what the kernel tells of one that is alone.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "core/device/file_device.h"
#include "tests/sweeps/syscalls.h"
#include "tests/unit/scratch.h"

namespace dmremap::test {
namespace {

unsigned most_writes_at_once(bool direct) {
    constexpr std::uint64_t kBytes = 4096;
    constexpr unsigned kThreads = 4, kWrites = 200;
    const ScratchDir folder;
    const std::string path = folder.image("image", kThreads * kBytes);
    FileOptions options;
    options.direct = direct;
    const auto device = open_file_device(path, options);
    Syscalls calls;
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < kThreads; thread++)
        threads.emplace_back([&device, thread] {
            const std::vector<std::byte> data(kBytes);
            for (unsigned i = 0; i < kWrites; i++) {
                EXPECT_EQ(device->write(thread * kBytes, data.data(), kBytes), 0);
                EXPECT_EQ(i % 8 == 0 ? device->flush() : 0, 0);
            }
        });
    for (std::thread& thread : threads) thread.join();
    return calls.most_at_once();
}

TEST(PageCache, P9_OneWriteIsUnderWayAtATime) { EXPECT_EQ(most_writes_at_once(false), 1u); }

}  // namespace
}  // namespace dmremap::test
