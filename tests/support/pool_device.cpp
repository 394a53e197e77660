// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/pool_device.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace dmremap::test {

namespace {

class PoolDevice final : public Device {
public:
    PoolDevice(std::unique_ptr<Device> inner, unsigned threads) : inner_(std::move(inner)) {
        for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
    }
    ~PoolDevice() override {
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
            queued_.notify_all();
        }
        for (std::thread& thread : threads_) thread.join();
    }
    const DeviceInfo& info() const override { return inner_->info(); }
    void submit(Io& io) override {
        const std::lock_guard lock(mutex_);
        queue_.push_back(&io);
        queued_.notify_one();
    }

private:
    void serve() {
        std::unique_lock lock(mutex_);
        for (;;) {
            queued_.wait(lock, [this] { return closing_ || !queue_.empty(); });
            if (queue_.empty()) return;
            // Every second call is taken from the end, so that calls overtake one another.
            Io* io;
            if ((turn_++ & 1) != 0) {
                io = queue_.back();
                queue_.pop_back();
            } else {
                io = queue_.front();
                queue_.pop_front();
            }
            lock.unlock();
            inner_->submit(*io);
            lock.lock();
        }
    }

    const std::unique_ptr<Device> inner_;
    std::mutex mutex_;
    std::condition_variable queued_;
    std::deque<Io*> queue_;
    unsigned turn_ = 0;
    bool closing_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Device> make_pool_device(std::unique_ptr<Device> inner, unsigned threads) {
    return std::make_unique<PoolDevice>(std::move(inner), threads);
}

}  // namespace dmremap::test
