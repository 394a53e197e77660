// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/scan_pace.h"

#include <algorithm>

namespace dmremap {

void ScanPace::begin(std::uint64_t now, const Counters::Load& load) {
    last_ = load;
    looked_ = limit_next_ = share_next_ = now;
    share_ = 1;
}

void ScanPace::look(std::uint64_t now, const Counters::Load& load) {
    const auto passed = static_cast<double>(now - looked_);
    if (passed <= 0) {
        return;
    }
    const double busy = static_cast<double>(load.time_ns - last_.time_ns) / passed;
    const bool any = load.requests != last_.requests;
    share_ = any ? 1 - 0.99 * std::min(1.0, 4 * busy) : 1;
    last_ = load;
    looked_ = now;
}

void ScanPace::reading(std::uint64_t now, std::uint64_t bytes, std::uint32_t limit) {
    if (limit != 0) {
        limit_next_ = std::max(limit_next_, now) + bytes * 1'000'000'000 / (limit * 1024ull);
    }
}

void ScanPace::has_read(std::uint64_t now, std::uint64_t took) {
    if (!busy()) {
        return;
    }
    const double pause = static_cast<double>(took) * (1 - share_) / share_;
    share_next_ = now + static_cast<std::uint64_t>(std::min(pause, double{kLongestNs}));
}

}  // namespace dmremap
