// SPDX-License-Identifier: GPL-2.0-or-later
// Remaps a share of a pair's blocks by hand, evenly at random, for the benchmarks.
//
//   remap_share MAIN SPARE PERCENT
#include <cstdio>
#include <cstdlib>
#include <random>

#include "core/disk.h"
#include "core/pair/pair.h"
#include "core/refusal.h"

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: %s MAIN SPARE PERCENT\n", argv[0]);
        return 2;
    }
    try {
        const dmremap::OpenOptions options;
        auto pair = dmremap::open_pair(argv[1], argv[2], dmremap::PairOptions{});
        auto disk = dmremap::Disk::open(std::move(pair.main), std::move(pair.spare), options);
        std::mt19937_64 rng(1);
        const auto percent = std::strtoul(argv[3], nullptr, 10);
        std::uint64_t remapped = 0;
        for (std::uint64_t sector = 0; sector + 8 <= disk->size() / 512; sector += 8)
            if (rng() % 100 < percent) remapped += disk->remap(sector, 8).changed;
        std::printf("%llu blocks remapped\n", static_cast<unsigned long long>(remapped));
        return disk->close() == 0 ? 0 : 1;
    } catch (const dmremap::Refusal& refusal) {
        std::fprintf(stderr, "%s\n", refusal.what());
        return 1;
    }
}
