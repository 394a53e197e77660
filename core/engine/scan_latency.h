// SPDX-License-Identifier: GPL-2.0-or-later
// How long the device takes for a read of the scan, and from when on a read is slow.
//
// A read is slow that takes longer than
//
//     T = max(8 * median, 4 * 90th percentile, 5 ms)
//
// of the reads of whole regions so far, each counting half as much once kHalveAfter more were
// added; there is no T before kEnough. So it is the device's own pace that is exceeded, and a
// device that is slow everywhere (or from some moment on) has no slow places. The floor is what a
// disk needs for half a revolution: below it there is only noise. The percentiles are those of the
// histogram of stats.h, exact to a quarter.
//
// One thread.
#pragma once

#include <array>
#include <cstdint>

#include "core/stats.h"

namespace dmremap {

class ScanLatency {
public:
    static constexpr std::uint64_t kEnough = 64;
    static constexpr std::uint64_t kHalveAfter = 4096;
    static constexpr std::uint64_t kFloorNs = 5'000'000;

    void add(std::uint64_t ns);

    // 0: not known yet.
    std::uint64_t threshold_ns() const { return threshold_; }
    bool slow(std::uint64_t ns) const { return threshold_ != 0 && ns > threshold_; }

private:
    std::uint64_t percentile(std::uint64_t hundredths) const;

    std::array<std::uint32_t, kLatencyBuckets> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t threshold_ = 0;
};

}  // namespace dmremap
