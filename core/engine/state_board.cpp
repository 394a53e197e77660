// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/state_board.h"

#include <algorithm>

namespace dmremap {

const char* state_name(State state) {
    switch (state) {
        case State::healthy:
            return "healthy";
        case State::degraded:
            return "degraded";
        case State::read_only:
            return "read_only";
        case State::failed:
            return "failed";
    }
    return "?";  // GCOVR_EXCL_LINE: the states are those above
}

void StateBoard::report(EventKind kind, std::uint64_t sector, std::uint64_t count,
                        const std::string& text) const {
    if (on_event_) {
        on_event_(Event{kind, sector, count, text});
    }
}

void StateBoard::raise(State state, const std::string& name, const std::string& text) {
    const std::lock_guard lock(mutex_);
    const State before = this->state();
    const auto at = std::find_if(causes_.begin(), causes_.end(),
                                 [&](const Cause& cause) { return cause.name == name; });
    if (at != causes_.end()) {
        *at = Cause{state, name, text};
    } else {
        causes_.push_back(Cause{state, name, text});
    }
    settle(before);
}

void StateBoard::clear(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const State before = state();
    std::erase_if(causes_, [&](const Cause& cause) { return cause.name == name; });
    settle(before);
}

bool StateBoard::active(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(causes_.begin(), causes_.end(),
                       [&](const Cause& cause) { return cause.name == name; });
}

std::vector<Cause> StateBoard::causes() const {
    const std::lock_guard lock(mutex_);
    return causes_;
}

void StateBoard::settle(State before) {
    State worst = State::healthy;
    bool writable = true;
    std::string names;
    for (const Cause& cause : causes_) {
        writable = writable && cause.state != State::read_only;
        worst = std::max(worst, cause.state);
        names += (names.empty() ? "" : " ") + cause.name;
    }
    writable_.store(writable, std::memory_order_release);
    state_.store(worst, std::memory_order_release);
    if (worst != before) {
        report(EventKind::state_changed, 0, 0,
               std::string(state_name(before)) + " -> " + state_name(worst) + ": " +
                   (names.empty() ? "no cause left" : names));
    }
}

}  // namespace dmremap
