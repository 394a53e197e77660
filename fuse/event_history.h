// SPDX-License-Identifier: GPL-2.0-or-later
// The last events of this mount, for control/events. Any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "core/events.h"

namespace dmremap {

class EventHistory {
public:
    static constexpr std::size_t kMostKept = 1000;

    void add(const Event& event);

    // Oldest first, a JSON object a line: id (counts from 1), time_unix, time_ns (of that second),
    // kind, and where there are any sector, blocks, count, text. Blocks next to each other to which
    // the same happens one after the other are one event, with their number in `blocks`: a range
    // moved by hand must not push all else out.
    std::string json_lines() const;

private:
    struct Record {
        std::uint64_t id;
        std::int64_t seconds, nanoseconds;
        Event event;
        std::uint64_t blocks = 1;
    };

    bool goes_on(const Event& event) const;  // with the mutex held

    mutable std::mutex mutex_;
    std::deque<Record> records_;
    std::uint64_t last_id_ = 0;
};

}  // namespace dmremap
