// SPDX-License-Identifier: GPL-2.0-or-later
// Counters of a disk. Each thread counts in its own cell (nothing is shared on the hot path); a
// reader adds the cells up.
#pragma once

#include <array>
#include <cstdint>

#include "core/device/device.h"

namespace dmremap {

constexpr unsigned kOps = 5;  // values of Op

// A latency histogram with a relative error of at most 1/4: bucket index is 4 * floor(log2(ns))
// plus the two bits below the leading one; bucket 0 to 3 hold 0 to 3 ns.
constexpr unsigned kLatencyBuckets = 256;
unsigned latency_bucket(std::uint64_t ns);
std::uint64_t latency_bucket_floor(unsigned bucket);  // smallest ns of the bucket

struct OpTotals {
    std::uint64_t completed = 0;  // requests that ended, well or not
    std::uint64_t failed = 0;
    std::uint64_t bytes = 0;    // of those that ended well
    std::uint64_t time_ns = 0;  // from submission to completion
    std::array<std::uint64_t, kLatencyBuckets> latency{};

    // What so many of the requests, of 0 < fraction <= 1, stayed within: at most 1/4 more than the
    // truth, and never less. 0 when there are none.
    std::uint64_t percentile_ns(double fraction) const;
};

struct Totals {
    std::array<OpTotals, kOps> op;  // by Op
    std::uint64_t main_errors = 0;  // calls that main failed, of every Op
    std::uint64_t spare_errors = 0;
    std::array<std::uint64_t, kOps> main_failed{};  // the same by Op
    std::array<std::uint64_t, kOps> spare_failed{};
    std::uint64_t remaps = 0;                         // blocks remapped since open
    std::array<std::uint64_t, 8> remaps_by_reason{};  // by enum dmr_reason
    std::uint64_t moves = 0;                          // slot to slot
    std::uint64_t unmaps = 0;                         // blocks that went back to main
    std::uint64_t sectors_lost = 0;                   // since open
    std::uint64_t sectors_salvaged = 0;               // by a later retry
    std::uint64_t commits = 0;                        // group commits of the entry table
    std::uint64_t device_flushes = 0;

    const OpTotals& of(Op o) const { return op[static_cast<unsigned>(o)]; }
};

// What was counted between two readings.
Totals since(const Totals& now, const Totals& then);

}  // namespace dmremap
