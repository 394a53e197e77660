// SPDX-License-Identifier: GPL-2.0-or-later
// The threads that make the reads of a scan, several at once. They wait while there is none.
//
// One owner gives reads and waits for them; a read belongs to the threads in between. The owner
// makes itself what it gives while there is no thread.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/engine/scan_read.h"

namespace dmremap {

struct ScanFlight {
    ScanRead read;
    Counters::Load before;     // when it was given
    std::uint64_t length = 0;  // the owner's
    bool done = false;
    ScanFlight* next = nullptr;
};

class ScanReaders {
public:
    explicit ScanReaders(Context& disk) : disk_(disk) {}
    ~ScanReaders() { stop(); }
    ScanReaders(const ScanReaders&) = delete;
    ScanReaders& operator=(const ScanReaders&) = delete;

    // As many threads as can be had, at most so many; none again. Does not throw.
    void start(unsigned threads) noexcept;
    void stop();

    void give(ScanFlight& flight, IdleCaller& owner);
    // False: it is not done yet after this time.
    bool wait(ScanFlight& flight, std::chrono::nanoseconds time);

private:
    void serve();

    Context& disk_;
    std::mutex mutex_;
    std::condition_variable given_, done_;
    ScanFlight* first_ = nullptr;
    ScanFlight* last_ = nullptr;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace dmremap
