// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a flush has failed since the disk was opened; then it stays so (P2). Who finds it so
// finds the state changed, too: while that is still being done he waits, which needs no I/O. Any
// thread.
#pragma once

#include <atomic>
#include <mutex>

namespace dmremap {

class FlushFailure {
public:
    explicit operator bool() const {
        if (!failed_.load(std::memory_order_acquire)) {
            return false;
        }
        const std::lock_guard lock(told_);
        return true;
    }

    // A flush has failed. `tell` changes the state; called once, and may not ask whether one has.
    template <typename Tell>
    void note(const Tell& tell) {
        const std::lock_guard lock(told_);
        if (!failed_.exchange(true, std::memory_order_acq_rel)) {
            tell();
        }
    }

private:
    std::atomic<bool> failed_{false};
    mutable std::mutex told_;  // held until it is
};

}  // namespace dmremap
