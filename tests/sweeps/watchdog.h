// SPDX-License-Identifier: GPL-2.0-or-later
// Ends the program when something hangs, saying what it was and how it is repeated.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

namespace dmremap::test {

// Watches what is announced by begin(): it must be followed by another one, or by the end of this,
// within a time that is far beyond what the slowest sanitizer on a busy machine takes.
class Watchdog {
public:
    Watchdog() : thread_([this](const std::stop_token& stop) { watch(stop); }) {}
    ~Watchdog() {
        thread_.request_stop();
        changed_.notify_all();
    }

    void begin(const std::string& what) {
        const std::lock_guard lock(mutex_);
        what_ = what;
        since_ = std::chrono::steady_clock::now();
    }

private:
    static constexpr std::chrono::seconds kPatience{60};

    void watch(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            changed_.wait_for(lock, std::chrono::seconds(1));
            if (std::chrono::steady_clock::now() - since_ < kPatience) continue;
            std::fprintf(stderr, "hangs: %s\n", what_.c_str());
            std::abort();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::string what_ = "before the first case";
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
    std::jthread thread_;
};

}  // namespace dmremap::test
