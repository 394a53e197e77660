// SPDX-License-Identifier: GPL-2.0-or-later
// What remaps cost to open and to hold, for the benchmarks: the time Disk::open() takes, the memory
// of the process that is more afterwards, and whether that stays so under load. The devices are in
// memory, so that only the program counts; their own pages are there before.
//
//   opening REMAPS [REQUESTS]      REQUESTS: reads and writes in place of 10 million
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include "core/disk.h"
#include "core/refusal.h"
#include "tests/bench/many_remaps.h"

namespace {

using namespace dmremap;

double resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    double whole = 0, resident = 0;
    statm >> whole >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Over 256 blocks on main and in slots, again and again: their pages are there after the first
// round.
bool load(Disk& disk, std::uint64_t requests) {
    std::mt19937_64 rng(1);
    alignas(4096) static std::byte data[DMR_BLOCK_SIZE];
    for (std::uint64_t i = 0; i < requests; i++) {
        const std::uint64_t offset = rng() % 256 * DMR_BLOCK_SIZE;
        const int error = rng() % 2 != 0 ? disk.read(offset, data, sizeof(data))
                                         : disk.write(offset, data, sizeof(data));
        if (error != 0) {
            return false;
        }
    }
    return true;
}

int measure(std::uint64_t remaps, std::uint64_t requests) {
    const bench::ManyRemaps pair(remaps);
    malloc_trim(0);
    const double before = resident_bytes();
    const auto begin = std::chrono::steady_clock::now();
    const auto disk = Disk::open(pair.make_main(), pair.make_spare(), {});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const double open = resident_bytes();
    std::printf("%llu remaps: %.3f s to open, %.1f MiB more memory, %.1f bytes a remap\n",
                static_cast<unsigned long long>(disk->status().active_mappings), took.count(),
                (open - before) / (1 << 20), (open - before) / static_cast<double>(remaps));
    if (!load(*disk, 10000)) return 1;
    const double early = resident_bytes();
    if (!load(*disk, requests)) return 1;
    std::printf("after 10000 requests %.1f MiB, after %llu more %.1f MiB\n", early / (1 << 20),
                static_cast<unsigned long long>(requests), resident_bytes() / (1 << 20));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t remaps = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
    if (remaps == 0 || argc > 3) {
        std::fprintf(stderr, "usage: %s REMAPS [REQUESTS]\n", argv[0]);
        return 2;
    }
    try {
        return measure(remaps, argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 10'000'000);
    } catch (const Refusal& refusal) {
        std::fprintf(stderr, "%s\n", refusal.what());
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
    }
    return 1;
}
