// SPDX-License-Identifier: GPL-2.0-or-later
// control/events as one opener reads it: all events that are kept, and behind their end those that
// come, for as long as it goes on reading.
#pragma once

#include <mutex>

#include "fuse/control_reading.h"
#include "fuse/event_history.h"

namespace dmremap {

class EventReading final : public ControlReading {
public:
    explicit EventReading(EventHistory& history) : history_(history) {}

    std::string read(std::uint64_t offset, std::size_t size) override {
        const std::lock_guard lock(mutex_);
        if (offset >= begin_ + text_.size()) {
            // Who is here does not need what it has read; one that follows for months would keep
            // it all.
            if (text_.size() > kMostKept) begin_ += std::exchange(text_, {}).size();
            text_ += history_.lines_after(last_);
        }
        if (offset < begin_ || offset - begin_ >= text_.size()) return {};
        return text_.substr(offset - begin_, size);
    }

    std::uint64_t version() const override {
        const std::lock_guard lock(mutex_);
        return static_cast<std::uint64_t>(last_);
    }

private:
    static constexpr std::size_t kMostKept = 1u << 20;

    EventHistory& history_;
    mutable std::mutex mutex_;
    std::string text_;
    std::uint64_t begin_ = 0;  // of text_, in what was read since the beginning
    std::int64_t last_ = EventHistory::kBeforeAll;  // id of the last one in text_
};

}  // namespace dmremap
