// SPDX-License-Identifier: GPL-2.0-or-later
// How far long work is: a bar with rate and time left on a terminal, else a plain line now and
// then. On the standard error, so that it never gets into an answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace dmremap::ctl {

// " 50 %  1.0 GiB of 2.0 GiB  100.0 MiB/s  10 s left". Of what is done `before_bytes` were so
// before these seconds, and say nothing of the rate.
std::string progress_text(std::uint64_t done_bytes, std::uint64_t total_bytes, double seconds,
                          std::uint64_t before_bytes = 0);

class Progress {
public:
    // done_bytes: of work that had begun before.
    Progress(std::string title, std::uint64_t total_bytes, std::uint64_t done_bytes = 0);
    ~Progress();  // takes the bar away
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(std::uint64_t done_bytes);

private:
    using Clock = std::chrono::steady_clock;

    const std::string title_;
    const std::uint64_t total_, before_;
    const bool terminal_;
    const Clock::time_point start_ = Clock::now();
    Clock::time_point shown_ = start_;
    bool drawn_ = false;
};

}  // namespace dmremap::ctl
