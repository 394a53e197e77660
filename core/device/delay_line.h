// SPDX-License-Identifier: GPL-2.0-or-later
// Does things later, so that a slow call holds up nobody but its caller.
//
// One thread, started by the first delay (a daemon that forks before that loses nothing), runs
// what is due, in order of time. What it runs must not wait for something that is still delayed.
// The destructor runs what is left at once and then ends the thread; it must not be called from
// what runs on it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace dmremap {

class DelayLine {
public:
    DelayLine() = default;
    ~DelayLine();
    DelayLine(const DelayLine&) = delete;
    DelayLine& operator=(const DelayLine&) = delete;

    // Any thread. Where the system has no thread to give, `work` runs now.
    void after(std::chrono::milliseconds delay, std::function<void()> work);

private:
    using Clock = std::chrono::steady_clock;

    void run();

    std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    std::multimap<Clock::time_point, std::function<void()>> waiting_;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace dmremap
