// SPDX-License-Identifier: GPL-2.0-or-later
// Which of the requests that may take long their callers have given up. For what serves the kernel
// without libfuse's loop: there libfuse does not hear of it.
//
// Only requests that are expected are noted: all others end by themselves, and soon. An interrupt
// that another thread reads in the instant between the request and expect() is lost.
#pragma once

#include <cstdint>
#include <mutex>
#include <new>
#include <unordered_map>

namespace dmremap {

// Any thread. Requests go by the kernel's number of them, which is never 0.
class Interrupts {
public:
    // From the thread that received the request, before it is handed on. Without memory it cannot
    // be interrupted.
    void expect(std::uint64_t request) noexcept {
        const std::lock_guard lock(mutex_);
        try {
            interrupted_.emplace(request, false);
        } catch (const std::bad_alloc&) {
        }
    }
    void forget(std::uint64_t request) {
        const std::lock_guard lock(mutex_);
        interrupted_.erase(request);
    }

    void interrupt(std::uint64_t request) {
        const std::lock_guard lock(mutex_);
        const auto found = interrupted_.find(request);
        if (found != interrupted_.end()) found->second = true;
    }
    bool interrupted(std::uint64_t request) const {
        const std::lock_guard lock(mutex_);
        const auto found = interrupted_.find(request);
        return found != interrupted_.end() && found->second;
    }

private:
    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, bool> interrupted_;
};

}  // namespace dmremap
