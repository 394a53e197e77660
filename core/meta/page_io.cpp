// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/page_io.h"

#include <algorithm>
#include <cstring>

#include "core/meta/metadata_read.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kChunk = 1 << 20;  // bytes of one large read

// One page again, by logical block; what stays unreadable becomes bytes that no CRC fits.
int read_page_in_parts(Device& spare, std::uint64_t offset, std::byte* data, std::uint64_t size) {
    const std::uint64_t part = spare.info().logical_block;
    for (std::uint64_t at = 0; at < size; at += part) {
        if (const int error = read_metadata(spare, offset + at, data + at, part); error != 0) {
            if (!is_damage(error)) {
                return error;
            }
            std::memset(data + at, 0xff, part);
        }
    }
    return 0;
}

}  // namespace

int read_pages(Device& spare, const dmr_superblock& sb, int copy, std::uint64_t first,
               std::uint64_t count, std::vector<dmr_entry>& entries) {
    const std::uint64_t page_size = dmr_le32(sb.page_size);
    entries.resize(count * dmr_entries_per_page(&sb));
    auto* const data = reinterpret_cast<std::byte*>(entries.data());
    for (std::uint64_t page = 0; page < count;) {
        const std::uint64_t offset = dmr_page_offset(&sb, copy, first + page);
        std::uint64_t run = 1;  // pages that lie next to each other on the spare
        while (page + run < count && (run + 1) * page_size <= kChunk &&
               dmr_page_offset(&sb, copy, first + page + run) == offset + run * page_size) {
            run++;
        }
        if (spare.read(offset, data + page * page_size, run * page_size) != 0) {
            for (std::uint64_t i = 0; i < run; i++) {
                if (const int error = read_page_in_parts(spare, offset + i * page_size,
                                                         data + (page + i) * page_size, page_size);
                    error != 0) {
                    return error;
                }
            }
        }
        page += run;
    }
    return 0;
}

dmr_entry initial_entry(const dmr_superblock& sb, std::uint64_t slot) {
    dmr_entry entry{};
    entry.main_block = dmr_to_le64(DMR_NO_BLOCK);
    entry.crc = dmr_to_le32(dmr_entry_crc(&entry, sb.uuid, slot));
    return entry;
}

}  // namespace dmremap
