// SPDX-License-Identifier: GPL-2.0-or-later
// Reads both copies of the entry table and decides what is true; the one place where that happens,
// used by opening and by examining. Never writes.
//
// Per entry: the newer valid copy. Per main block: the newest claim; older claims on the same block
// are superseded. Per page: which copy already says all of that, since only a copy whose other one
// does may be rewritten (the last good copy is never under the pen).
#pragma once

#include <cstdint>
#include <vector>

#include "core/device/device.h"
#include "core/format.h"
#include "core/meta/examine.h"

namespace dmremap {

enum class PageHealth : std::uint8_t {
    good,            // both copies hold the truth
    first_is_good,   // the second wants rewriting
    second_is_good,  // the first wants rewriting
    mixed,           // each holds something the other lacks: neither may be rewritten
};

struct LoadedTable {
    std::vector<dmr_entry> entries;  // the truth, by slot, table_ready of them
    std::vector<PageHealth> pages;
    std::vector<std::uint64_t> superseded;  // slots whose claim is older than another's
    std::uint64_t highest_sequence = 0;
    TableReport report;
};

// Throws Refusal(system) when memory does not suffice for the table, or a page cannot be read for
// another reason than damage; bad_alloc for what comes after.
LoadedTable load_table(Device& spare, const dmr_superblock& sb);

// Whether an entry that has been used lies in the pages from `first` on: the superblock is then
// older than the table. Entries that were only initialised do not count. Returns the errno of
// read_pages().
int used_entry_in_pages(Device& spare, const dmr_superblock& sb, std::uint64_t first,
                        std::uint64_t count, bool& used);

}  // namespace dmremap
