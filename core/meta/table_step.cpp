// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/table_step.h"

#include <algorithm>

#include "core/device/patience.h"
#include "core/meta/page_io.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kFirstStep = 1024;  // entries
constexpr std::uint64_t kLargestStep = 65536;

}  // namespace

std::uint64_t next_table_step(const dmr_superblock& sb, std::uint64_t ready) {
    return pages_for(sb, ready + std::clamp(ready, kFirstStep, kLargestStep));
}

int initialise_pages(Device& spare, const dmr_superblock& sb, std::uint64_t first,
                     std::uint64_t count, std::vector<std::uint8_t>& bad) {
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    std::vector<dmr_entry> page(per_page);
    bad.assign(count, 0);
    for (std::uint64_t p = 0; p < count; p++) {
        for (std::uint64_t i = 0; i < per_page; i++) {
            page[i] = initial_entry(sb, (first + p) * per_page + i);
        }
        for (const int copy : {0, 1}) {
            const std::uint64_t offset = dmr_page_offset(&sb, copy, first + p);
            const int error =
                patiently([&] { return spare.write(offset, page.data(), dmr_le32(sb.page_size)); });
            if (error != 0 && classify(error) != ErrorClass::medium) {
                return error;
            }
            if (error != 0) {
                bad[p] = static_cast<std::uint8_t>(bad[p] | (1 << copy));
            }
        }
    }
    return 0;
}

}  // namespace dmremap
