// SPDX-License-Identifier: GPL-2.0-or-later
// A pair with a past, for sweeps that damage its spare: sessions that relocated, lost, rewrote,
// salvaged and moved blocks, retired a page, freed slots and marked bad ones, grew the table, and
// closed in order or did not.
//
// What main must read as is known from what the builder was told, not from what is on the spare.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/format.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

constexpr std::uint64_t kUntouchedBlocks = 8;  // the first ones of main, which never went bad

struct Past {
    const char* name;
    Shape shape;
    std::uint64_t remaps = 150;    // made by the first session; above 1024 entries the table grows
    bool retire_page = true;       // and thereby free slots
    bool closed = true;            // in order; otherwise the process was killed
    bool one_copy_behind = false;  // killed after a page could not be written to the second copy
};

struct History {
    explicit History(const Past& past);

    // What reads of main give: `lost` or the bytes of `truth`.
    struct Stretch {
        std::uint64_t offset, length;
        bool lost;
    };

    const Past past;
    TestPair pair;  // not open
    std::vector<std::byte> truth;
    std::vector<Stretch> stretches;
    std::vector<std::byte> spare;               // as the last session left it
    std::vector<std::vector<std::byte>> older;  // as it was in between, oldest first
    dmr_superblock superblock{};

    // A slot of each kind of entry there is: "remapped", "lost", "lost and retry", "short" (the
    // last block), "bad slot", "freed", "never used", "superseded".
    std::map<std::string, std::uint64_t> slots;

    unsigned copies() const { return dmr_copies(spare.size()); }
    std::uint64_t pages() const;  // of the table, as far as it exists
    std::uint64_t page_size() const { return dmr_le32(superblock.page_size); }
    std::uint64_t page_offset(int copy, std::uint64_t page) const {
        return dmr_page_offset(&superblock, copy, page);
    }
    std::uint64_t entry_offset(int copy, std::uint64_t slot) const;
    dmr_entry entry(int copy, std::uint64_t slot) const;
    // The main block that lives in this slot, and all slots that claim a block.
    std::uint64_t block_of(std::uint64_t slot) const { return dmr_le64(entry(0, slot).main_block); }
    std::vector<std::uint64_t> slots_of(std::uint64_t block) const;
    // The same of another UUID, made in the same way.
    std::unique_ptr<History> stranger() const { return std::make_unique<History>(past); }
};

}  // namespace dmremap::test
