// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the k-th system call of the core's file devices fail, be interrupted, or move less than was
// asked. pread, pwrite, fdatasync and fallocate of this program come through here (--wrap).
//
// Any thread; one of these at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "tests/sweeps/trouble.h"

namespace dmremap::test {

struct SyscallFault {
    enum What {
        half,         // moves half, in whole sectors
        odd,          // ends in the middle of a sector behind the first
        tiny,         // ends in the middle of the first sector
        nothing,      // moves nothing and says so: the end of the file
        interrupted,  // EINTR
        failing,      // with `error`
    };
    What what = half;
    int error = 0;
    std::uint64_t call = 0;  // from 1; 0: none
    bool goes_on = false;

    // A file device has to go on as if nothing had been.
    bool unseen() const { return what == half || what == odd || what == interrupted; }
};

class Syscalls final : public Trouble {
public:
    Syscalls();
    ~Syscalls() override;

    void begin(const SyscallFault& fault);
    std::uint64_t calls() const { return calls_; }
    std::uint64_t struck() const { return struck_; }

    // What must go unseen explains nothing.
    std::uint64_t hits() const override { return fault_.unseen() ? 0 : struck_.load(); }
    std::uint64_t flush_hits() const override { return fault_.unseen() ? 0 : flushes_.load(); }
    bool goes_on() const override { return fault_.goes_on; }
    int error() const override { return fault_.error; }
    void end() override { ended_ = true; }

    // For the wrappers. How many bytes of `length` move, or -1 with errno set; `ask` is how many
    // the kernel is asked for. Direct I/O knows no odd lengths, so what is cut off is not asked
    // for.
    struct Answer {
        bool as_it_is;
        std::int64_t moved;
        std::uint64_t ask;
    };
    Answer transfer(std::uint64_t length);
    bool fails(bool flush);  // and sets errno

    // Writes and flushes that were under way at once, at most.
    unsigned most_at_once() const { return most_; }
    class Inside {
    public:
        explicit Inside(Syscalls* calls);
        ~Inside();
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;

    private:
        Syscalls* const calls_;
    };

private:
    bool strikes();

    SyscallFault fault_;
    std::atomic<bool> ended_{true};
    std::atomic<std::uint64_t> calls_{0}, struck_{0}, flushes_{0};
    std::atomic<unsigned> inside_{0}, most_{0};
};

}  // namespace dmremap::test
