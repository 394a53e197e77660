// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/stats.h"

namespace dmremap {

namespace {

template <std::size_t n>
void take_off(std::array<std::uint64_t, n>& from, const std::array<std::uint64_t, n>& what) {
    for (std::size_t i = 0; i < n; i++) from[i] -= what[i];
}

}  // namespace

Totals since(const Totals& now, const Totals& then) {
    Totals result = now;
    for (unsigned i = 0; i < kOps; i++) {
        OpTotals& op = result.op[i];
        op.completed -= then.op[i].completed;
        op.failed -= then.op[i].failed;
        op.bytes -= then.op[i].bytes;
        op.time_ns -= then.op[i].time_ns;
        take_off(op.latency, then.op[i].latency);
    }
    result.main_errors -= then.main_errors;
    result.spare_errors -= then.spare_errors;
    take_off(result.main_failed, then.main_failed);
    take_off(result.spare_failed, then.spare_failed);
    result.remaps -= then.remaps;
    take_off(result.remaps_by_reason, then.remaps_by_reason);
    result.moves -= then.moves;
    result.unmaps -= then.unmaps;
    result.sectors_lost -= then.sectors_lost;
    result.sectors_salvaged -= then.sectors_salvaged;
    result.commits -= then.commits;
    result.device_flushes -= then.device_flushes;
    return result;
}

}  // namespace dmremap
