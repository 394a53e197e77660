// SPDX-License-Identifier: GPL-2.0-or-later
// Which of the requests that may take long their callers have given up. For what serves the kernel
// without libfuse's loop: there libfuse does not hear of it.
//
// Only requests that are expected are noted: all others end by themselves, and soon. An interrupt
// may come before its request is expected, for another thread reads it, or it comes by another way;
// so the last ones that nobody expected are kept. The kernel never uses a number again, so that one
// that is kept in vain does no harm.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
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
            const bool early = std::find(early_.begin(), early_.end(), request) != early_.end();
            interrupted_.emplace(request, early);
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
        if (found != interrupted_.end())
            found->second = true;
        else
            early_[next_early_++ % early_.size()] = request;
    }
    bool interrupted(std::uint64_t request) const {
        const std::lock_guard lock(mutex_);
        const auto found = interrupted_.find(request);
        return found != interrupted_.end() && found->second;
    }

private:
    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, bool> interrupted_;
    std::array<std::uint64_t, 64> early_{};
    std::size_t next_early_ = 0;
};

}  // namespace dmremap
