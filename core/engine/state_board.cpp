// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/state_board.h"

#include <algorithm>
#include <utility>

namespace dmremap {

namespace {

constexpr std::size_t kCauses = 16;  // more than there are names

}  // namespace

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

StateBoard::StateBoard(std::function<void(const Event&)> on_event)
    : on_event_(std::move(on_event)) {
    causes_.reserve(kCauses);
}

void StateBoard::tell(const Event& event) const noexcept {
    try {
        if (on_event_) {
            on_event_(event);
        }
    } catch (const std::bad_alloc&) {  // whoever listens has no memory for it
    }
}

void StateBoard::put(State state, const char* name, std::string text) noexcept {
    const std::lock_guard lock(mutex_);
    const State before = this->state();
    const auto at = std::find_if(causes_.begin(), causes_.end(),
                                 [&](const Cause& cause) { return cause.name == name; });
    if (at != causes_.end()) {
        at->state = state;
        at->text = std::move(text);
    } else {
        causes_.push_back(Cause{state, name, std::move(text)});
    }
    settle(before);
}

void StateBoard::clear(std::string_view name) noexcept {
    const std::lock_guard lock(mutex_);
    const State before = state();
    std::erase_if(causes_, [&](const Cause& cause) { return cause.name == name; });
    settle(before);
}

bool StateBoard::active(std::string_view name) const noexcept {
    const std::lock_guard lock(mutex_);
    return std::any_of(causes_.begin(), causes_.end(),
                       [&](const Cause& cause) { return cause.name == name; });
}

std::vector<Cause> StateBoard::causes() const {
    const std::lock_guard lock(mutex_);
    return causes_;
}

void StateBoard::settle(State before) noexcept {
    State worst = State::healthy;
    bool writable = true;
    for (const Cause& cause : causes_) {
        writable = writable && cause.state != State::read_only;
        worst = std::max(worst, cause.state);
    }
    writable_.store(writable, std::memory_order_release);
    state_.store(worst, std::memory_order_release);
    if (worst == before) {
        return;
    }
    if (causes_.empty()) {
        report(EventKind::state_changed, 0, 0, state_name(before), " -> healthy: no cause left");
    } else {
        report(EventKind::state_changed, 0, 0, state_name(before), " -> ", state_name(worst), ": ",
               causes_);
    }
}

}  // namespace dmremap
