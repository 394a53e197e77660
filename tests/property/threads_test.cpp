// SPDX-License-Identifier: GPL-2.0-or-later
// Several threads read and write sectors of the same blocks at the same time, each its own sectors,
// over devices that complete on threads of their own, while blocks go bad. Each thread knows what
// its sectors hold: a relocation or a read-modify-write that carries a neighbour's old data over
// its new one is caught. Also the load for the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <mutex>
#include <random>
#include <thread>

#include "core/meta/format_spare.h"
#include "tests/support/long_runs.h"
#include "tests/support/pool_device.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr unsigned kThreads = 4;
constexpr std::uint64_t kSectors = 6144;  // 3 MiB: few blocks, so that threads meet in them

struct Shared {
    Disk& disk;
    // Sectors that have been unreadable on main at any time: they may be lost.
    const std::vector<bool>& weak;
    std::atomic<bool> stop{false};
    std::mutex mutex;
    std::string problem;

    void fail(const std::string& what) {
        const std::lock_guard lock(mutex);
        if (problem.empty()) problem = what;
        stop = true;
    }
};

// Sector s belongs to thread s % kThreads, so that every block is everybody's.
void work(Shared& shared, unsigned self, std::uint64_t seed, std::uint64_t operations,
          std::vector<std::uint32_t>& versions) {
    std::mt19937_64 rng(seed);
    std::vector<std::byte> block(8 * kSector);
    for (std::uint64_t n = 0; n < operations && !shared.stop; ++n) {
        const std::uint64_t s = rng() % (kSectors / kThreads) * kThreads + self;
        const std::string at = "sector " + std::to_string(s);
        const auto kind = rng() % 16;
        if (kind == 0) {
            if (shared.disk.flush() != 0) shared.fail("a flush failed");
        } else if (kind < 8) {
            const auto data = pattern(s, 1, versions[s] + 1);
            // Sometimes in two parts, each of them a read-modify-write.
            const std::uint64_t cut = kind == 1 && !shared.weak[s] ? 1 + rng() % 511 : kSector;
            int error = shared.disk.write(s * kSector, data.data(), cut);
            if (!error && cut < kSector)
                error = shared.disk.write(s * kSector + cut, data.data() + cut, kSector - cut);
            if (error) {
                shared.fail("write of " + at + " failed with " + strerror(error));
                return;
            }
            ++versions[s];
        } else if (kind < 14) {
            const int error = shared.disk.read(s * kSector, block.data(), kSector);
            if (error == EIO && shared.weak[s]) continue;
            if (error) {
                shared.fail("read of " + at + " failed with " + strerror(error));
                return;
            }
            const auto expected = pattern(s, 1, versions[s]);
            if (std::memcmp(block.data(), expected.data(), kSector) != 0) {
                shared.fail("read of " + at + " did not return version " +
                            std::to_string(versions[s]));
                return;
            }
        } else {
            // The whole block: only this thread's two sectors can be judged.
            const std::uint64_t first = s / 8 * 8;
            const int error = shared.disk.read(first * kSector, block.data(), 8 * kSector);
            bool weak = false;
            for (std::uint64_t i = first; i < first + 8; ++i) weak = weak || shared.weak[i];
            if (error == EIO && weak) continue;
            if (error) {
                shared.fail("read of the block of " + at + " failed with " + strerror(error));
                return;
            }
            for (std::uint64_t i = first + self % kThreads; i < first + 8; i += kThreads) {
                const auto expected = pattern(i, 1, versions[i]);
                if (std::memcmp(block.data() + (i - first) * kSector, expected.data(), kSector) !=
                    0)
                    shared.fail("read of the block of sector " + std::to_string(i) +
                                " did not return its version " + std::to_string(versions[i]));
            }
        }
    }
}

TEST(Threads, SectorsOfTheSameBlocks) {
    const std::uint64_t seed = first_seed();
    std::cout << "threads: seed " << seed << "\n";
    const std::uint64_t operations = from_environment("DMREMAP_OPS", 60'000) / 3 / kThreads;

    TestPair pair({.main_size = kSectors * kSector});
    pair.fill_main(0);
    pair.format();
    std::vector<std::uint32_t> versions(kSectors, 0);
    std::mt19937_64 rng(seed);
    std::vector<bool> weak(kSectors);
    for (unsigned round = 0; round < 3; ++round) {
        OpenOptions options;
        pair.disk = Disk::open(make_pool_device(pair.main->device(), 3),
                               make_pool_device(pair.spare->device(), 3), options);
        // New bad spots in every round; their sectors are weak for good.
        for (unsigned spot = 0; spot < 60; ++spot) {
            const std::uint64_t sector = rng() % (kSectors - 4);
            const std::uint64_t sectors = 1 + rng() % 4;
            Fault fault;
            fault.write = spot % 2 == 0;
            fault.read = spot % 3 == 0;
            for (std::uint64_t s = sector; fault.read && s < sector + sectors; ++s) weak[s] = true;
            pair.main->set_fault(sector, sectors, fault);
        }
        Shared shared{*pair.disk, weak, {}, {}, {}};
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < kThreads; ++t)
            threads.emplace_back(
                [&, t, mine = rng()] { work(shared, t, mine, operations, versions); });
        for (std::thread& thread : threads) thread.join();
        ASSERT_EQ(shared.problem, "") << "seed " << seed << ", round " << round;
        EXPECT_GT(pair.disk->status().active_mappings, 0u);
        pair.close();
    }
}

}  // namespace
}  // namespace dmremap::test
