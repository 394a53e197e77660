// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/syscalls.h"

#include <sys/types.h>

#include <cerrno>
#include <thread>

namespace dmremap::test {

namespace {

constexpr std::uint64_t kSectorBytes = 512;
std::atomic<Syscalls*> current{nullptr};

}  // namespace

Syscalls::Syscalls() { current = this; }
Syscalls::~Syscalls() { current = nullptr; }

void Syscalls::begin(const SyscallFault& fault) {
    fault_ = fault;
    calls_ = struck_ = flushes_ = 0;
    ended_ = false;
}

bool Syscalls::strikes() {
    if (ended_) return false;
    const std::uint64_t call = ++calls_;
    const bool later = fault_.goes_on && fault_.call != 0 && call > fault_.call;
    if (call != fault_.call && !later) return false;
    ++struck_;
    return true;
}

Syscalls::Answer Syscalls::transfer(std::uint64_t length) {
    if (!strikes()) return {true, 0, length};
    const std::uint64_t half = length / 2 / kSectorBytes * kSectorBytes;
    switch (fault_.what) {
        case SyscallFault::half:
            if (half == 0) return {true, 0, length};
            return {false, static_cast<std::int64_t>(half), half};
        case SyscallFault::odd:
            if (half == 0) return {true, 0, length};
            return {false, static_cast<std::int64_t>(half + 100), half};
        case SyscallFault::tiny:
            return {false, 100, 0};
        case SyscallFault::nothing:
            return {false, 0, 0};
        case SyscallFault::interrupted:
            errno = EINTR;
            return {false, -1, 0};
        case SyscallFault::failing:
            errno = fault_.error;
            return {false, -1, 0};
    }
    return {true, 0, length};
}

bool Syscalls::fails(bool flush) {
    if (!strikes()) return false;
    switch (fault_.what) {
        case SyscallFault::interrupted:
            errno = EINTR;
            return true;
        case SyscallFault::failing:
            flushes_ += flush ? 1 : 0;
            errno = fault_.error;
            return true;
        default:
            return false;  // moves no bytes
    }
}

// Gives way, so that who may come in meanwhile does.
Syscalls::Inside::Inside(Syscalls* calls) : calls_(calls) {
    if (calls_ == nullptr) return;
    const unsigned now = ++calls_->inside_;
    for (unsigned most = calls_->most_; most < now;)
        if (calls_->most_.compare_exchange_weak(most, now)) break;
    std::this_thread::yield();
}
Syscalls::Inside::~Inside() {
    if (calls_ != nullptr) --calls_->inside_;
}

}  // namespace dmremap::test

using dmremap::test::Syscalls;

extern "C" {
ssize_t __real_pread64(int, void*, size_t, off_t);
ssize_t __wrap_pread64(int, void*, size_t, off_t);
ssize_t __real_pwrite64(int, const void*, size_t, off_t);
ssize_t __wrap_pwrite64(int, const void*, size_t, off_t);
int __real_fdatasync(int);
int __wrap_fdatasync(int);
int __real_fallocate64(int, int, off_t, off_t);
int __wrap_fallocate64(int, int, off_t, off_t);

ssize_t __wrap_pread64(int fd, void* data, size_t length, off_t offset) {
    Syscalls* const faults = dmremap::test::current;
    if (faults == nullptr) return __real_pread64(fd, data, length, offset);
    const Syscalls::Answer answer = faults->transfer(length);
    if (answer.as_it_is) return __real_pread64(fd, data, length, offset);
    const ssize_t moved = answer.ask == 0 ? 0 : __real_pread64(fd, data, answer.ask, offset);
    return moved < 0 ? moved : answer.moved;
}

ssize_t __wrap_pwrite64(int fd, const void* data, size_t length, off_t offset) {
    Syscalls* const faults = dmremap::test::current;
    const Syscalls::Inside inside(faults);
    if (faults == nullptr) return __real_pwrite64(fd, data, length, offset);
    const Syscalls::Answer answer = faults->transfer(length);
    if (answer.as_it_is) return __real_pwrite64(fd, data, length, offset);
    const ssize_t moved = answer.ask == 0 ? 0 : __real_pwrite64(fd, data, answer.ask, offset);
    return moved < 0 ? moved : answer.moved;
}

int __wrap_fdatasync(int fd) {
    Syscalls* const faults = dmremap::test::current;
    const Syscalls::Inside inside(faults);
    return faults != nullptr && faults->fails(true) ? -1 : __real_fdatasync(fd);
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t length) {
    Syscalls* const faults = dmremap::test::current;
    return faults != nullptr && faults->fails(false) ? -1
                                                     : __real_fallocate64(fd, mode, offset, length);
}
}
