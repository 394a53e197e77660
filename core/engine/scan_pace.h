// SPDX-License-Identifier: GPL-2.0-or-later
// How fast a scan goes: the user's limit, and giving way to the user's own requests.
//
// Every kLookNs the engine's counters say how busy users kept the disk: the times of their requests
// added up, over the time that passed. That is about the number of requests under way at once.
//   * 0: several reads in flight, without a pause.
//   * more: one read at a time, and after it a pause such that reading takes the share
//     1 - 0.99 * min(1, 4 * busy) of the time, 1 % where there is always some request. So of a
//     user's requests about so many meet a read of the scan as the share says: their 99th
//     percentile stays, and the scan goes on.
// Requests that end while the scan reads are known only at the next look: what begins after a quiet
// moment meets at most the reads in flight.
//
// A pause is at most kLongestNs, so that a slow device under load is read all the same.
//
// One thread. Times are CLOCK_MONOTONIC in ns.
#pragma once

#include <cstdint>

#include "core/engine/counters.h"

namespace dmremap {

class ScanPace {
public:
    static constexpr std::uint64_t kLookNs = 50'000'000;
    static constexpr std::uint64_t kLongestNs = 2'000'000'000;

    // A scan begins, or goes on after it stood still.
    void begin(std::uint64_t now, const Counters::Load& load);

    // Due every kLookNs: look() then.
    bool due(std::uint64_t now) const { return now - looked_ >= kLookNs; }
    void look(std::uint64_t now, const Counters::Load& load);

    // A read of so many bytes begins, under a limit of KiB/s (0: none); it has ended.
    void reading(std::uint64_t now, std::uint64_t bytes, std::uint32_t limit);
    void has_read(std::uint64_t now, std::uint64_t took);

    // The next read may begin at this time.
    std::uint64_t next() const { return limit_next_ > share_next_ ? limit_next_ : share_next_; }
    // Users are about: one read at a time, and times mean little.
    bool busy() const { return share_ < 1; }
    double share() const { return share_; }

private:
    Counters::Load last_;
    std::uint64_t looked_ = 0;
    std::uint64_t limit_next_ = 0, share_next_ = 0;
    double share_ = 1;  // of the time that reading may take
};

}  // namespace dmremap
