// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/scan_record.h"

#include <algorithm>
#include <limits>

namespace dmremap {

namespace {

std::uint32_t clipped(std::uint64_t n) {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(n, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

void ScanRecord::note_day(std::uint64_t created, std::uint64_t now, std::uint64_t remaps,
                          std::uint64_t lost, std::uint64_t errors) {
    const std::uint32_t today = clipped(now / kSecondsADay);
    if (now < created || today == 0) {
        return;
    }
    auto free = std::find_if(days.begin(), days.end(), [today](const DaySample& sample) {
        return sample.day == 0 || sample.day > today;
    });
    std::fill(free, days.end(), DaySample{});
    std::uint64_t before = 0;
    if (free != days.begin() && std::prev(free)->day == today) {
        --free;
        before = free->errors;
    } else if (free == days.end()) {
        std::copy(days.begin() + 1, days.end(), days.begin());
        --free;
    }
    *free = {today, clipped(remaps), clipped(lost), clipped(before + errors)};
}

ScanRecord load_scan_record(const dmr_superblock& sb) {
    ScanRecord record;
    record.cursor = dmr_scan_cursor(&sb);
    record.pass_start = dmr_le64(sb.scan_pass_start);
    record.pass_end = dmr_le64(sb.scan_pass_end);
    record.passes = dmr_le64(sb.scan_passes);
    record.found = dmr_le64(sb.scan_found);
    for (unsigned i = 0; i < dmr_history_days(&sb); i++) {
        const dmr_day& day = sb.history[i];
        record.days.at(i) = {dmr_le32(day.day), dmr_le32(day.remaps), dmr_le32(day.lost),
                             dmr_le32(day.errors)};
    }
    if ((dmr_le32(sb.compat) & DMR_COMPAT_SCAN) == 0) {
        return record;
    }
    record.pass_found = dmr_le64(sb.scan_pass_found);
    record.metadata_repairs = dmr_le64(sb.metadata_repairs);
    if (dmr_scan_pass_valid(&sb)) {
        record.state = dmr_le32(sb.scan_state);
        record.begin = dmr_le64(sb.scan_begin);
        record.end = dmr_le64(sb.scan_end);
    }
    return record;
}

void store_scan_record(const ScanRecord& record, dmr_superblock& sb) {
    sb.compat = dmr_to_le32(dmr_le32(sb.compat) | DMR_COMPAT_SCAN);
    sb.scan_cursor = dmr_to_le64(record.cursor);
    sb.scan_pass_start = dmr_to_le64(record.pass_start);
    sb.scan_pass_end = dmr_to_le64(record.pass_end);
    sb.scan_passes = dmr_to_le64(record.passes);
    sb.scan_found = dmr_to_le64(record.found);
    sb.scan_begin = dmr_to_le64(record.begin);
    sb.scan_end = dmr_to_le64(record.end);
    sb.scan_pass_found = dmr_to_le64(record.pass_found);
    sb.scan_state = dmr_to_le32(record.state);
    sb.metadata_repairs = dmr_to_le64(record.metadata_repairs);
    for (std::size_t i = 0; i < record.days.size(); i++) {
        sb.history[i].day = dmr_to_le32(record.days[i].day);
        sb.history[i].remaps = dmr_to_le32(record.days[i].remaps);
        sb.history[i].lost = dmr_to_le32(record.days[i].lost);
        sb.history[i].errors = dmr_to_le32(record.days[i].errors);
    }
}

}  // namespace dmremap
