// SPDX-License-Identifier: GPL-2.0-or-later
// The active causes and the state they amount to. Any thread.
//
// Once it is made nothing here but causes() throws, for who reports a failure may be in the middle
// of another one, and the state must be right whatever memory there is. So room for all causes is
// had ahead, and a text is put together from its parts in here and left out where there is no
// memory for it. An event that its listener has no memory for is lost.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/events.h"
#include "core/state.h"

namespace dmremap {

class StateBoard {
public:
    explicit StateBoard(std::function<void(const Event&)> on_event);

    // The parts, words and whole numbers, make up the text.
    template <typename... Parts>
    void report(EventKind kind, std::uint64_t sector = 0, std::uint64_t count = 0,
                const Parts&... parts) const noexcept {
        tell(Event{kind, sector, count, text_of(parts...)});
    }

    // A cause comes (or changes its text), or goes. Its name is a literal: it is kept as it is. A
    // change of the state is an event.
    template <typename... Parts>
    void raise(State state, const char* name, const Parts&... parts) noexcept {
        put(state, name, text_of(parts...));
    }
    void clear(std::string_view name) noexcept;

    bool active(std::string_view name) const noexcept;
    State state() const { return state_.load(std::memory_order_acquire); }
    // False when a cause forbids changes, whatever else is wrong.
    bool writable() const { return writable_.load(std::memory_order_acquire); }
    std::vector<Cause> causes() const;  // throws bad_alloc

private:
    template <typename Part>
    static void append(std::string& text, const Part& part) {
        if constexpr (std::is_arithmetic_v<Part>) {
            text += std::to_string(part);
        } else if constexpr (std::is_same_v<Part, std::vector<Cause>>) {
            for (const Cause& cause : part) {
                text += (&cause == &part.front() ? "" : " ");
                text += cause.name;
            }
        } else {
            text += part;
        }
    }
    template <typename... Parts>
    static std::string text_of(const Parts&... parts) noexcept {
        try {
            std::string text;
            (append(text, parts), ...);
            return text;
        } catch (const std::bad_alloc&) {
            return {};
        }
    }
    void tell(const Event& event) const noexcept;
    void put(State state, const char* name, std::string text) noexcept;
    void settle(State before) noexcept;  // with the mutex held

    std::function<void(const Event&)> on_event_;
    mutable std::mutex mutex_;
    std::vector<Cause> causes_;
    std::atomic<State> state_{State::healthy};
    std::atomic<bool> writable_{true};
};

}  // namespace dmremap
