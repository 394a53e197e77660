// SPDX-License-Identifier: GPL-2.0-or-later
// The time, so that tests can have another one. Both functions: any thread; neither throws.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>

namespace dmremap {

struct Clock {
    // Unix seconds; may jump in either direction.
    std::function<std::uint64_t()> wall = [] {
        const std::time_t now = std::time(nullptr);
        return now < 0 ? 0 : static_cast<std::uint64_t>(now);
    };
    // Seconds since some point; never goes back, and counts while the machine sleeps.
    std::function<std::uint64_t()> steady = [] {
        timespec now{};
        clock_gettime(CLOCK_BOOTTIME, &now);
        return static_cast<std::uint64_t>(now.tv_sec);
    };
};

}  // namespace dmremap
