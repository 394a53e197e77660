// SPDX-License-Identifier: GPL-2.0-or-later
// The hot path's counters: one cell a thread, written by that thread alone with relaxed atomics,
// added up by readers.
#pragma once

#include <tbb/enumerable_thread_specific.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/stats.h"

namespace dmremap {

std::uint64_t now_ns();  // CLOCK_MONOTONIC

class Counters {
public:
    // A user's request has ended.
    void request_done(Op op, std::uint64_t bytes, bool ok, std::uint64_t ns);
    // A call to a device has ended.
    void main_call(Op op, bool ok);
    void spare_call(Op op, bool ok);

    // Calls to main that ended well; the breaker compares two readings. Slow path.
    std::uint64_t main_successes(Op op) const;

    // What users have asked for so far; two readings say how busy they kept the disk. Slow path.
    struct Load {
        std::uint64_t requests = 0, time_ns = 0;  // ended, and their times added up
    };
    Load load() const;

    // The parts of Totals that threads count; the healer's own are added by their owner.
    Totals totals() const;

private:
    using Cell = std::atomic<std::uint64_t>;  // one writer: plain load and store suffice
    static void add(Cell& cell, std::uint64_t n) {
        cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }

    struct PerOp {
        Cell completed{0}, failed{0}, bytes{0}, time_ns{0};
        std::array<Cell, kLatencyBuckets> latency{};
    };
    struct alignas(64) PerThread {
        std::array<PerOp, kOps> op;
        std::array<Cell, kOps> main_ok{};
        std::array<Cell, kOps> main_failed{}, spare_failed{};
        Cell flushes{0};
    };

    PerThread& mine() noexcept;

    // TBB finds a thread's cell without a lock, but its container must not be walked while a new
    // thread comes; so the cells are kept, and walked, apart from it.
    tbb::enumerable_thread_specific<PerThread*> cell_of_{static_cast<PerThread*>(nullptr)};
    mutable std::mutex mutex_;  // cells_; taken by readers and once by each thread
    std::vector<std::unique_ptr<PerThread>> cells_;
    // Of the threads for which there is no memory; what they count at once may be lost.
    PerThread& shared_ = *cells_.emplace_back(std::make_unique<PerThread>());
};

}  // namespace dmremap
