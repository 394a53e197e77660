// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/scan_readers.h"

#include <new>
#include <system_error>

namespace dmremap {

void ScanReaders::start(unsigned threads) noexcept {
    try {
        threads_.reserve(threads);
        while (threads_.size() < threads) {
            threads_.emplace_back([this] { serve(); });
        }
    } catch (const std::bad_alloc&) {     // fewer
    } catch (const std::system_error&) {  // likewise
    }
}

void ScanReaders::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        given_.notify_all();
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void ScanReaders::give(ScanFlight& flight, IdleCaller& owner) {
    flight.done = false;
    if (threads_.empty()) {
        scan_read(disk_, owner, flight.read);
        flight.done = true;
        return;
    }
    const std::lock_guard lock(mutex_);
    flight.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &flight;
    last_ = &flight;
    given_.notify_one();
}

bool ScanReaders::wait(ScanFlight& flight, std::chrono::nanoseconds time) {
    std::unique_lock lock(mutex_);
    return done_.wait_for(lock, time, [&] { return flight.done; });
}

void ScanReaders::serve() {
    IdleCaller caller;
    std::unique_lock lock(mutex_);
    for (;;) {
        given_.wait(lock, [this] { return stopping_ || first_ != nullptr; });
        if (first_ == nullptr) {
            return;
        }
        ScanFlight& flight = *first_;
        first_ = flight.next;
        last_ = first_ == nullptr ? nullptr : last_;
        lock.unlock();
        scan_read(disk_, caller, flight.read);
        lock.lock();
        flight.done = true;
        done_.notify_all();
    }
}

}  // namespace dmremap
