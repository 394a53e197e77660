// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/scan_latency.h"

#include <algorithm>

namespace dmremap {

void ScanLatency::add(std::uint64_t ns) {
    buckets_.at(latency_bucket(ns))++;
    count_++;
    if (count_ >= 2 * kHalveAfter) {
        count_ = 0;
        for (std::uint32_t& bucket : buckets_) {
            bucket /= 2;
            count_ += bucket;
        }
    }
    if (count_ >= kEnough) {
        threshold_ = std::max({8 * percentile(50), 4 * percentile(90), kFloorNs});
    }
}

// The floor of the bucket that it is in.
std::uint64_t ScanLatency::percentile(std::uint64_t hundredths) const {
    const std::uint64_t wanted = (count_ * hundredths + 99) / 100;
    std::uint64_t seen = 0;
    unsigned bucket = 0;
    while (bucket + 1 < buckets_.size() && seen + buckets_.at(bucket) < wanted) {
        seen += buckets_.at(bucket++);
    }
    return latency_bucket_floor(bucket);
}

}  // namespace dmremap
