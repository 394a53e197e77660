// SPDX-License-Identifier: GPL-2.0-or-later
// The places of a spare's metadata, and what can befall them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sweeps/damaged_spare.h"
#include "tests/sweeps/history.h"

namespace dmremap::test {

// A sector, a block, a page or a whole superblock copy.
struct Place {
    enum Of { superblock, table };
    Of of;
    unsigned copy;
    std::uint64_t offset, length;  // bytes
    std::uint64_t number;          // of the unit within its copy
    bool holds_entries;            // or a superblock: what stands there means something

    std::string name() const;
};

// Units of so many bytes; of a table what lies in its pages up to table_ready. A unit larger than a
// page is a whole page.
std::vector<Place> superblock_places(const History& history, unsigned copy, std::uint64_t unit);
std::vector<Place> table_places(const History& history, unsigned copy, std::uint64_t unit);

// What befalls a place. Each kind but `older` leaves nothing valid there (of a whole superblock
// copy the stranger's is valid, and says that two spares are mixed up).
struct Kind {
    enum What {
        zeros,
        ones,
        garbage,
        unreadable,
        unreadable_for_good,
        unwritable,
        other,
        stranger,
        older
    };
    What what;
    std::size_t version = 0;  // of older

    std::string name() const;
    bool stays() const { return what == unreadable_for_good || what == unwritable; }
};

// All that can befall; `older` once for each version the history remembers.
std::vector<Kind> all_kinds(const History& history);
// Those that leave nothing valid.
std::vector<Kind> destroying_kinds();

// Does it; false when the bytes there are the same afterwards. `stranger` may be null when the kind
// is another.
bool damage(DamagedSpare& spare, const History& history, const History* stranger,
            const Place& place, const Kind& kind);

}  // namespace dmremap::test
