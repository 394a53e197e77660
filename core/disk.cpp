// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/disk.h"

#include <condition_variable>
#include <mutex>

namespace dmremap {

namespace {

// Waits for one request; notifies with the mutex held, so that the waiter cannot return too early.
struct Waiter {
    std::mutex mutex;
    std::condition_variable changed;
    bool finished = false;
    int error = 0;
};

int run(Disk& disk, Op op, std::uint64_t offset, std::uint64_t length, std::byte* data) {
    Waiter waiter;
    Request request;
    request.op = op;
    request.offset = offset;
    request.length = length;
    request.data = data;
    request.context = &waiter;
    request.done = [](Request& done, int error) {
        Waiter& owner = *static_cast<Waiter*>(done.context);
        const std::lock_guard lock(owner.mutex);
        owner.finished = true;
        owner.error = error;
        owner.changed.notify_one();
    };
    disk.submit(request);
    std::unique_lock lock(waiter.mutex);
    waiter.changed.wait(lock, [&] { return waiter.finished; });
    return waiter.error;
}

}  // namespace

int Disk::read(std::uint64_t offset, void* data, std::uint64_t length) {
    return run(*this, Op::read, offset, length, static_cast<std::byte*>(data));
}

int Disk::write(std::uint64_t offset, const void* data, std::uint64_t length) {
    // A request has one pointer for both directions; a write never stores through it.
    return run(*this, Op::write, offset, length,
               const_cast<std::byte*>(static_cast<const std::byte*>(data)));
}

int Disk::zero(std::uint64_t offset, std::uint64_t length) {
    return run(*this, Op::zero, offset, length, nullptr);
}

int Disk::discard(std::uint64_t offset, std::uint64_t length) {
    return run(*this, Op::discard, offset, length, nullptr);
}

int Disk::flush() { return run(*this, Op::flush, 0, 0, nullptr); }

}  // namespace dmremap
