// SPDX-License-Identifier: GPL-2.0-or-later
// The active causes and the state they amount to. Any thread.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/events.h"
#include "core/state.h"

namespace dmremap {

class StateBoard {
public:
    explicit StateBoard(std::function<void(const Event&)> on_event)
        : on_event_(std::move(on_event)) {}

    void report(EventKind kind, std::uint64_t sector = 0, std::uint64_t count = 0,
                const std::string& text = "") const;

    // A cause comes (or changes its text), or goes. A change of the state is an event.
    void raise(State state, const std::string& name, const std::string& text);
    void clear(const std::string& name);

    bool active(const std::string& name) const;
    State state() const { return state_.load(std::memory_order_acquire); }
    // False when a cause forbids changes, whatever else is wrong.
    bool writable() const { return writable_.load(std::memory_order_acquire); }
    std::vector<Cause> causes() const;

private:
    void settle(State before);  // with the mutex held

    std::function<void(const Event&)> on_event_;
    mutable std::mutex mutex_;
    std::vector<Cause> causes_;
    std::atomic<State> state_{State::healthy};
    std::atomic<bool> writable_{true};
};

}  // namespace dmremap
