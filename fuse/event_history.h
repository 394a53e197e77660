// SPDX-License-Identifier: GPL-2.0-or-later
// The last events, for control/events. Any thread.
//
// A JSON object a line, oldest first: id, time_unix, time_ns (of that second), kind, and where
// there are any sector, blocks, count, text. Blocks next to each other to which the same happens
// one after the other are one event, with their number in `blocks`, until somebody has read it: a
// range moved by hand must not push all else out. Ids count from 1 in each mount; 0 and below it
// are what the entry table remembers of the mounts before.
//
// What is kept is a text that only grows at its end, so that who follows it (tail -f) goes on where
// it stopped; when twice as many are there as must be kept, the older half goes at once.
#pragma once

#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "core/disk.h"
#include "core/events.h"

namespace dmremap {

class EventHistory {
public:
    static constexpr std::size_t kLeastKept = 1000;

    void add(const Event& event);

    // Puts before all others what the entry table remembers: when the blocks that are remapped now
    // were, and why. Throws bad_alloc.
    void recall(const Disk& disk);

    // Called after each event, from the thread it came from; must neither wait nor call back.
    // Empty: nobody. When this returns, the one before is not being called any more.
    void watch(std::function<void()> watcher);

    // Those with an id above `last`, which becomes the newest. Throws bad_alloc.
    static constexpr std::int64_t kBeforeAll = INT64_MIN;
    std::string lines_after(std::int64_t& last);

    std::int64_t last_id() const;
    std::uint64_t state_changes() const;

    struct Extent {
        std::uint64_t bytes = 0;  // of all lines; without memory perhaps less
        std::time_t changed = 0;  // of the newest event; 0: there is none
    };
    Extent extent() noexcept;

private:
    struct Record {
        std::int64_t id;
        std::int64_t seconds, nanoseconds;
        Event event;
        std::uint64_t blocks = 1;

        bool takes(const Event& next) const;
        std::string line() const;
    };

    void settle();  // with the mutex held

    mutable std::mutex mutex_;
    std::deque<std::string> lines_;    // of the events that change no more
    std::optional<Record> unsettled_;  // the newest, while nobody has read it
    std::int64_t last_id_ = 0;
    std::uint64_t state_changes_ = 0;
    Extent extent_;  // of lines_; but `changed` of all
    std::function<void()> watcher_;
};

}  // namespace dmremap
