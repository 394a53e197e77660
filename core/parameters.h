// SPDX-License-Identifier: GPL-2.0-or-later
// The parameters that belong to a disk and persist in its superblock.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/format.h"

namespace dmremap {

struct Parameters {
    std::uint32_t read_retries = 2;   // 0-20: further tries of a logical block before it is bad
    bool remap_on_read_error = true;  // move what cannot be read, not only what cannot be written
    std::uint32_t lost_retry_minutes =
        60;  // 0: never, at most a year; how often retry sectors are read again
    std::uint32_t breaker_regions = 32;  // 0: never; see core/engine/breaker.h
    bool background_scanning = true;
    std::uint32_t scan_interval_hours = 24;  // 1 to a year
    std::uint32_t scan_speed_max = 0;        // KiB/s, 0: no limit
    bool relocate_weak = false;
};

constexpr std::uint32_t kReadRetriesMax = 20;
constexpr std::uint32_t kMinutesMax = 366 * 24 * 60;
constexpr std::uint32_t kHoursMax = 366 * 24;

inline Parameters load_parameters(const dmr_superblock& sb) {
    Parameters p;
    p.read_retries = std::min<std::uint32_t>(dmr_le32(sb.read_retries), kReadRetriesMax);
    p.remap_on_read_error = dmr_le32(sb.remap_on_read_error) != 0;
    p.lost_retry_minutes = std::min<std::uint32_t>(dmr_le32(sb.lost_retry_minutes), kMinutesMax);
    p.breaker_regions = dmr_le32(sb.breaker_regions);
    p.background_scanning = dmr_le32(sb.background_scanning) != 0;
    p.scan_interval_hours = std::clamp(dmr_le32(sb.scan_interval_hours), 1u, kHoursMax);
    p.scan_speed_max = dmr_le32(sb.scan_speed_max);
    p.relocate_weak = dmr_le32(sb.relocate_weak) != 0;
    return p;
}

inline void store_parameters(const Parameters& p, dmr_superblock& sb) {
    sb.read_retries = dmr_to_le32(p.read_retries);
    sb.remap_on_read_error = dmr_to_le32(std::uint32_t{p.remap_on_read_error});
    sb.lost_retry_minutes = dmr_to_le32(p.lost_retry_minutes);
    sb.breaker_regions = dmr_to_le32(p.breaker_regions);
    sb.background_scanning = dmr_to_le32(std::uint32_t{p.background_scanning});
    sb.scan_interval_hours = dmr_to_le32(p.scan_interval_hours);
    sb.scan_speed_max = dmr_to_le32(p.scan_speed_max);
    sb.relocate_weak = dmr_to_le32(std::uint32_t{p.relocate_weak});
}

}  // namespace dmremap
