// SPDX-License-Identifier: GPL-2.0-or-later
// Blocks whose mapping would silently be an older one if a copy were lost: see FORMAT.md, doubt.
//
// Only pages without two good copies can hold such a version, and what they hold is read again, for
// a repair may have written to them. What is valid there and not the truth lost to it, so it is
// older than the truth of its slot; whether it is older than all that says where its block is now,
// the claims tell.
#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "core/meta/entry_table.h"
#include "core/meta/page_io.h"

namespace dmremap {

int EntryTable::find_doubts(std::vector<std::uint64_t>& blocks) {
    const dmr_superblock& sb = store_.current();
    std::unordered_map<std::uint64_t, std::uint64_t> claimed;  // block -> newest lost version of it
    std::vector<dmr_entry> found;
    blocks.clear();
    for (std::uint64_t page = 0; page < pages_.size(); page++) {
        if (pages_[page] == PageHealth::good) {
            continue;
        }
        const std::uint64_t entries = std::min(per_page_, entries_.size() - page * per_page_);
        for (const int copy : {0, 1}) {
            if (const int error = read_pages(spare_, sb, copy, page, 1, found); error != 0) {
                return error;
            }
            for (std::uint64_t i = 0; i < entries; i++) {
                const std::uint64_t slot = page * per_page_ + i;
                const dmr_entry truth = sealed(slot);
                if (std::memcmp(&found[i], &truth, sizeof(truth)) == 0 ||
                    !dmr_entry_valid(&sb, &found[i], slot)) {
                    continue;
                }
                if (truth.state == DMR_REMAPPED && !superseded_.contains(slot)) {
                    blocks.push_back(dmr_le64(truth.main_block));
                }
                if (found[i].state == DMR_REMAPPED) {
                    std::uint64_t& newest = claimed[dmr_le64(found[i].main_block)];
                    newest = std::max<std::uint64_t>(newest, dmr_le64(found[i].sequence));
                }
            }
        }
    }
    if (!claimed.empty()) {
        for_each_live([&](std::uint64_t, const dmr_entry& entry) {
            const auto at = claimed.find(dmr_le64(entry.main_block));
            if (at != claimed.end() && at->second < dmr_le64(entry.sequence)) {
                claimed.erase(at);
            }
        });
    }
    for (const auto& [block, sequence] : claimed) {
        blocks.push_back(block);
    }
    std::sort(blocks.begin(), blocks.end());
    blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
    return 0;
}

}  // namespace dmremap
