// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the entry table: pages of either copy, in large pieces while the spare lets it, and
// sector by sector where it does not.
#pragma once

#include <cstdint>
#include <vector>

#include "core/device/device.h"
#include "core/format.h"

namespace dmremap {

// Entries of `count` pages from `first` on, of copy 0 or 1. What could not be read comes back as
// entries that are not valid, for every entry checks itself. Returns the errno of a read that
// failed for another reason than damage (metadata_read.h), and then nothing is known of the pages;
// else 0.
int read_pages(Device& spare, const dmr_superblock& sb, int copy, std::uint64_t first,
               std::uint64_t count, std::vector<dmr_entry>& entries);

inline std::uint64_t pages_for(const dmr_superblock& sb, std::uint64_t entries) {
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    return (entries + per_page - 1) / per_page;
}

// A free entry of this slot as the table's initialisation writes it.
dmr_entry initial_entry(const dmr_superblock& sb, std::uint64_t slot);

}  // namespace dmremap
