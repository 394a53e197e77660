// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/device.h"

#include <condition_variable>
#include <mutex>

namespace dmremap {

const char* op_name(Op op) {
    switch (op) {
        case Op::read:
            return "read";
        case Op::write:
            return "write";
        case Op::zero:
            return "zero";
        case Op::discard:
            return "discard";
        case Op::flush:
            return "flush";
    }
    return "?";
}

namespace {

// Waits for one Io. The completion notifies with the mutex held, so that the waiter cannot return
// and destroy this while it is still being used.
class Waiter {
public:
    void finish() {
        const std::lock_guard lock(mutex_);
        finished_ = true;
        changed_.notify_one();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return finished_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool finished_ = false;
};

int run(Device& device, Op op, std::uint64_t offset, std::uint64_t length, std::byte* data) {
    Waiter waiter;
    Io io;
    io.op = op;
    io.offset = offset;
    io.length = length;
    io.data = data;
    io.context = &waiter;
    io.done = [](Io& done) { static_cast<Waiter*>(done.context)->finish(); };
    device.submit(io);
    waiter.wait();
    return io.error;
}

}  // namespace

int Device::read(std::uint64_t offset, void* data, std::uint64_t length) {
    return run(*this, Op::read, offset, length, static_cast<std::byte*>(data));
}

int Device::write(std::uint64_t offset, const void* data, std::uint64_t length) {
    // Io has one pointer for both directions; a write never stores through it.
    return run(*this, Op::write, offset, length,
               const_cast<std::byte*>(static_cast<const std::byte*>(data)));
}

int Device::zero(std::uint64_t offset, std::uint64_t length) {
    return run(*this, Op::zero, offset, length, nullptr);
}

int Device::discard(std::uint64_t offset, std::uint64_t length) {
    return run(*this, Op::discard, offset, length, nullptr);
}

int Device::flush() { return run(*this, Op::flush, 0, 0, nullptr); }

}  // namespace dmremap
