// SPDX-License-Identifier: GPL-2.0-or-later
// The parameters in force while a disk is open: anybody reads one at any time, the healer's thread
// changes them.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/parameters.h"

namespace dmremap {

struct LiveParameters {
    std::atomic<std::uint32_t> read_retries{0};
    std::atomic<bool> remap_on_read_error{false};
    std::atomic<std::uint32_t> lost_retry_minutes{0};
    std::atomic<std::uint32_t> breaker_regions{0};
    std::atomic<bool> background_scanning{false};
    std::atomic<std::uint32_t> scan_interval_hours{0};
    std::atomic<std::uint32_t> scan_speed_max{0};
    std::atomic<bool> relocate_weak{false};

    void store(const Parameters& p) {
        read_retries = p.read_retries;
        remap_on_read_error = p.remap_on_read_error;
        lost_retry_minutes = p.lost_retry_minutes;
        breaker_regions = p.breaker_regions;
        background_scanning = p.background_scanning;
        scan_interval_hours = p.scan_interval_hours;
        scan_speed_max = p.scan_speed_max;
        relocate_weak = p.relocate_weak;
    }

    Parameters load() const {
        Parameters p;
        p.read_retries = read_retries;
        p.remap_on_read_error = remap_on_read_error;
        p.lost_retry_minutes = lost_retry_minutes;
        p.breaker_regions = breaker_regions;
        p.background_scanning = background_scanning;
        p.scan_interval_hours = scan_interval_hours;
        p.scan_speed_max = scan_speed_max;
        p.relocate_weak = relocate_weak;
        return p;
    }
};

}  // namespace dmremap
