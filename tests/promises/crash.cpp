// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/promises/crash.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace dmremap::test {

void Ledger::writing(std::uint64_t sector, std::uint64_t count, std::uint32_t version) {
    for (std::uint64_t s = sector; s < sector + count; ++s) {
        durable.try_emplace(s, 1u);  // main is filled with version 1
        open[s].insert(version);
    }
}

// Everything written so far was acknowledged, so only the last version of each is left.
void Ledger::flushed() {
    for (const auto& [sector, versions] : open) {
        durable[sector] = *versions.rbegin();
        unreadable.erase(sector);
    }
    open.clear();
}

// Blocks: 10 takes no writes, 20 cannot be read at two sectors, 30 neither, 40 takes no writes and
// becomes unreadable in the middle.
std::unique_ptr<TestPair> bad_pair(const Shape& shape) {
    auto pair = std::make_unique<TestPair>(shape);
    pair->fill_main(1);
    pair->format();
    pair->plan->apply(
        "main bad write 80+8\n"
        "main bad read 162+2\n"
        "main bad all 240+8\n"
        "main bad write 320+8\n"
        "main bad read 323\n");
    pair->set_cache(true);
    return pair;
}

bool history(TestPair& pair, Ledger& ledger) {
    for (const std::uint64_t s : {162, 163, 323}) ledger.unreadable.insert(s);
    for (std::uint64_t s = 240; s < 248; ++s) ledger.unreadable.insert(s);
    Disk& disk = *pair.disk;
    const auto write = [&](std::uint64_t sector, std::uint64_t count, std::uint32_t version) {
        ledger.writing(sector, count, version);
        return write_sectors(disk, sector, count, version) == 0;
    };
    const auto flush = [&] {
        if (disk.flush() != 0) return false;
        ledger.flushed();
        return true;
    };
    std::vector<std::byte> block(kBlock);
    return write(80, 8, 2) && write(0, 16, 2) && flush()             // one relocation
           && disk.read(160 * kSector, block.data(), kBlock) == EIO  // salvage with losses
           && write(162, 1, 3) && write(81, 3, 3)                    // a lost mark; a slot again
           && write(240, 4, 3) && flush() && write(320, 2, 4)        //
           && write(80, 8, 5) && write(244, 4, 5) && flush() && write(163, 1, 6);
}

void expect_ledger(TestPair& pair, const Ledger& ledger) {
    std::vector<std::byte> got(kSector);
    const auto holds = [&](std::uint64_t sector, std::uint32_t version) {
        return got == pattern(sector, 1, version);
    };
    const auto expect = [&](std::uint64_t sector) {
        const int error = pair.disk->read(sector * kSector, got.data(), kSector);
        if (error == EIO && ledger.unreadable.contains(sector)) return;
        ASSERT_EQ(error, 0) << "sector " << sector;
        const auto durable = ledger.durable.find(sector);
        bool known = holds(sector, durable == ledger.durable.end() ? 1 : durable->second);
        if (const auto open = ledger.open.find(sector); open != ledger.open.end())
            for (const std::uint32_t version : open->second)
                known = known || holds(sector, version);
        EXPECT_TRUE(known) << "sector " << sector << " holds none of its versions";
    };
    for (std::uint64_t sector = 0; sector < 336; ++sector) expect(sector);
}

}  // namespace dmremap::test
