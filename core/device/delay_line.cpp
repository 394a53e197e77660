// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/delay_line.h"

#include <system_error>
#include <utility>

namespace dmremap {

DelayLine::~DelayLine() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void DelayLine::after(std::chrono::milliseconds delay, std::function<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        try {
            if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
            waiting_.emplace(Clock::now() + delay, std::move(work));
            work = nullptr;
        } catch (const std::system_error&) {
            // No thread: `work` is still here.
        }
    }
    if (work)
        work();
    else
        changed_.notify_one();
}

void DelayLine::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (waiting_.empty()) {
            if (ending_) return;
            changed_.wait(lock);
            continue;
        }
        const auto first = waiting_.begin();
        // A copy: another thread may insert an earlier one while this waits.
        const Clock::time_point due = first->first;
        if (!ending_ && Clock::now() < due) {
            changed_.wait_until(lock, due);
            continue;
        }
        const std::function<void()> work = std::move(first->second);
        waiting_.erase(first);
        lock.unlock();
        work();
        lock.lock();
    }
}

}  // namespace dmremap
