// SPDX-License-Identifier: GPL-2.0-or-later
// The power of a test machine: main and spare hang on one, so that it goes off for both at once.
//
// Calls of all media are numbered from 1 in the order in which they are submitted. The power can be
// told to go off at one of them: that call and all after it fail with ENODEV and change nothing.
// Handles opened before the power came back stay dead, as the process behind them would be.
// Any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <mutex>

namespace dmremap::test {

class Power {
public:
    static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

    // Goes off at the call'th call from now on; 1 is the next one.
    void cut_at(std::uint64_t call) {
        const std::lock_guard lock(mutex_);
        cut_at_ = call == kNever ? kNever : calls_ + call;
    }
    void cut_now() {
        const std::lock_guard lock(mutex_);
        off_ = true;
    }

    // A new life: handles opened from now on work, older ones never again.
    void on() {
        const std::lock_guard lock(mutex_);
        off_ = false;
        cut_at_ = kNever;
        ++life_;
    }

    bool off() const {
        const std::lock_guard lock(mutex_);
        return off_;
    }
    std::uint64_t life() const {
        const std::lock_guard lock(mutex_);
        return life_;
    }
    std::uint64_t calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

    // Counts a call of a handle of this life; false: there is no power for it.
    bool count(std::uint64_t life) {
        const std::lock_guard lock(mutex_);
        if (life != life_) return false;
        ++calls_;
        if (calls_ >= cut_at_) off_ = true;
        return !off_;
    }

private:
    mutable std::mutex mutex_;
    std::uint64_t calls_ = 0;
    std::uint64_t cut_at_ = kNever;
    std::uint64_t life_ = 1;
    bool off_ = false;
};

}  // namespace dmremap::test
