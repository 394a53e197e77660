// SPDX-License-Identifier: GPL-2.0-or-later
// On which processor a loop of FUSE over io_uring runs (uring_loop.h).
//
// A program with one request at a time waits while it is served, and its processor has nothing to
// do. A loop that is woken there begins at once, and so does the program when it is answered; but
// the scheduler sends who is woken to an idle processor, and to wake that one, there and back, may
// take longer than a request of 4 KiB (in a virtual machine an idle processor is one that the host
// has to start). So a loop whose requests were, for kInARow of them, each the only one of their
// queue binds itself to the queue's processor. With the second one at a time it is free again: then
// another processor is worth waking, for the program has its own busy with the next request.
//
// Where the program goes on is not ours to choose. Sent to the idle processor with each answer, it
// asks by that one's queue, whose loop is bound there, and is sent back: one processor is woken for
// each request, as by /dev/fuse. Whether the scheduler does that hangs on how idle the machine is
// to it; where the program is bound it cannot.
//
// Measured on two idle virtual processors, 4 KiB at depth 1, medians of interleaved rounds, against
// /dev/fuse: a bound program's reads 1.94, writes 1.74; one that is not 1.23 to 1.42 where
// sched_autogroup_enabled is 0, and 0.88 to 0.98 where it is 1 (libfuse's own FUSE over io_uring
// 1.4 and 1.0); and where the loop is not bound 0.96 and 0.94. The switches are as many in all
// cases, one a request: only where they lead is different.
//
// What the thread may use is what it was allowed when it bound itself; another processor it leaves
// alone. A system call is made when it is bound and when it is freed, so at most twice in kInARow
// requests.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dmremap {

// How many requests of each queue are with us. Any thread.
class UringCrowd {
public:
    explicit UringCrowd(std::size_t queues) : queues_(queues) {}

    // True: the only one of its queue.
    bool enter(std::uint16_t queue) {
        return queues_[queue].count.fetch_add(1, std::memory_order_relaxed) == 0;
    }
    void leave(std::uint16_t queue) {
        queues_[queue].count.fetch_sub(1, std::memory_order_relaxed);
    }

private:
    struct alignas(64) Queue {
        std::atomic<int> count{0};
    };
    std::vector<Queue> queues_;
};

// Belongs to the thread that calls it.
class UringPlace {
public:
    static constexpr unsigned kInARow = 64;

    // A request of this queue has come, `alone` as UringCrowd says.
    void serve(std::uint16_t queue, bool alone) {
        if (alone && queue == queue_ && (bound_ || ++in_a_row_ < kInARow)) return;
        settle(queue, alone);
    }

private:
    void settle(std::uint16_t queue, bool alone);
    bool bind(std::uint16_t queue);

    std::uint16_t queue_ = 0;  // the last one
    unsigned in_a_row_ = 0;
    bool bound_ = false;
    cpu_set_t allowed_{};  // before it was bound
};

}  // namespace dmremap
