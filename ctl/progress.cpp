// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/progress.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <utility>

#include "ctl/text.h"

namespace dmremap::ctl {

namespace {

constexpr unsigned kBarWidth = 24;
constexpr auto kBarEvery = std::chrono::milliseconds(100);
constexpr auto kLineEvery = std::chrono::seconds(10);

}  // namespace

std::string progress_text(std::uint64_t done, std::uint64_t total, double seconds,
                          std::uint64_t before) {
    const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
    std::array<char, 16> percent{};
    std::snprintf(percent.data(), percent.size(), "%3.0f %%", share * 100);
    std::string text = percent.data();
    text += "  " + short_size(done) + " of " + short_size(total);
    if (done <= before || done >= total || seconds <= 0) return text;
    const double rate = static_cast<double>(done - before) / seconds;
    const double left = static_cast<double>(total - done) / rate;
    text += "  " + short_size(static_cast<std::uint64_t>(rate)) + "/s";
    return text + "  " + human_duration(static_cast<std::uint64_t>(left * 1e9)) + " left";
}

Progress::Progress(std::string title, std::uint64_t total_bytes, std::uint64_t done_bytes)
    : title_(std::move(title)),
      total_(total_bytes),
      before_(done_bytes),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::show(std::uint64_t done) {
    const Clock::time_point now = Clock::now();
    if (now - shown_ < (terminal_ ? Clock::duration(kBarEvery) : Clock::duration(kLineEvery)))
        return;
    shown_ = now;
    const std::string text =
        progress_text(done, total_, std::chrono::duration<double>(now - start_).count(), before_);
    if (!terminal_) {
        std::fprintf(stderr, "%s: %s\n", title_.c_str(), text.c_str());
        return;
    }
    const auto full = static_cast<unsigned>(
        total_ == 0 ? kBarWidth
                    : static_cast<double>(done) / static_cast<double>(total_) * kBarWidth);
    const std::string bar = std::string(full, '#') + std::string(kBarWidth - full, '.');
    std::fprintf(stderr, "\r\x1b[K%s [%s] %s", title_.c_str(), bar.c_str(), text.c_str());
    std::fflush(stderr);
    drawn_ = true;
}

}  // namespace dmremap::ctl
