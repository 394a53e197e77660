// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/counters.h"

#include <bit>
#include <cmath>
#include <ctime>

namespace dmremap {

std::uint64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

unsigned latency_bucket(std::uint64_t ns) {
    if (ns < 4) {
        return static_cast<unsigned>(ns);
    }
    const unsigned log = static_cast<unsigned>(std::bit_width(ns)) - 1;
    return 4 * log + static_cast<unsigned>(ns >> (log - 2) & 3);
}

std::uint64_t latency_bucket_floor(unsigned bucket) {
    if (bucket < 4) {
        return bucket;
    }
    if (bucket < 8) {
        return 4;  // never filled: 4 ns and more start at bucket 8
    }
    const unsigned log = bucket / 4;
    return (std::uint64_t{4} | (bucket % 4)) << (log - 2);
}

std::uint64_t OpTotals::percentile_ns(double fraction) const {
    std::uint64_t all = 0;
    for (const std::uint64_t n : latency) {
        all += n;
    }
    const auto wanted = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(all)));
    std::uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < kLatencyBuckets; bucket++) {
        seen += latency[bucket];
        if (seen != 0 && seen >= wanted) {
            return bucket + 1 < kLatencyBuckets ? latency_bucket_floor(bucket + 1) - 1 : UINT64_MAX;
        }
    }
    return 0;
}

Counters::PerThread& Counters::mine() noexcept {
    try {
        PerThread*& cell = cell_of_.local();
        if (cell == nullptr) {
            const std::lock_guard lock(mutex_);
            cells_.push_back(std::make_unique<PerThread>());
            cell = cells_.back().get();
        }
        return *cell;
    } catch (const std::bad_alloc&) {
        return shared_;
    }
}

void Counters::request_done(Op op, std::uint64_t bytes, bool ok, std::uint64_t ns) {
    PerOp& cell = mine().op[static_cast<unsigned>(op)];
    add(cell.completed, 1);
    add(cell.time_ns, ns);
    add(cell.latency[latency_bucket(ns)], 1);
    if (ok) {
        add(cell.bytes, bytes);
    } else {
        add(cell.failed, 1);
    }
}

void Counters::main_call(Op op, bool ok) {
    PerThread& cell = mine();
    add((ok ? cell.main_ok : cell.main_failed)[static_cast<unsigned>(op)], 1);
    if (op == Op::flush) {
        add(cell.flushes, 1);
    }
}

void Counters::spare_call(Op op, bool ok) {
    PerThread& cell = mine();
    if (!ok) {
        add(cell.spare_failed[static_cast<unsigned>(op)], 1);
    }
    if (op == Op::flush) {
        add(cell.flushes, 1);
    }
}

std::uint64_t Counters::main_successes(Op op) const {
    std::uint64_t sum = 0;
    const std::lock_guard lock(mutex_);
    for (const auto& cell : cells_) {
        sum += cell->main_ok[static_cast<unsigned>(op)].load(std::memory_order_relaxed);
    }
    return sum;
}

Counters::Load Counters::load() const {
    Load sum;
    const std::lock_guard lock(mutex_);
    for (const auto& cell : cells_) {
        for (const PerOp& op : cell->op) {
            sum.requests += op.completed.load(std::memory_order_relaxed);
            sum.time_ns += op.time_ns.load(std::memory_order_relaxed);
        }
    }
    return sum;
}

Totals Counters::totals() const {
    Totals sum;
    const auto take = [](const Cell& cell) { return cell.load(std::memory_order_relaxed); };
    const std::lock_guard lock(mutex_);
    for (const auto& cell : cells_) {
        for (unsigned op = 0; op < kOps; op++) {
            OpTotals& to = sum.op[op];
            to.completed += take(cell->op[op].completed);
            to.failed += take(cell->op[op].failed);
            to.bytes += take(cell->op[op].bytes);
            to.time_ns += take(cell->op[op].time_ns);
            for (unsigned bucket = 0; bucket < kLatencyBuckets; bucket++) {
                to.latency[bucket] += take(cell->op[op].latency[bucket]);
            }
            sum.main_failed[op] += take(cell->main_failed[op]);
            sum.spare_failed[op] += take(cell->spare_failed[op]);
        }
        sum.device_flushes += take(cell->flushes);
    }
    for (unsigned op = 0; op < kOps; op++) {
        sum.main_errors += sum.main_failed[op];
        sum.spare_errors += sum.spare_failed[op];
    }
    return sum;
}

}  // namespace dmremap
