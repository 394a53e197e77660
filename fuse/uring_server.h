// SPDX-License-Identifier: GPL-2.0-or-later
// Serves a mount by FUSE over io_uring, beside the loops over /dev/fuse (ring_server.h), which the
// kernel still sends its interrupts and what it wants no answer to.
//
// Order of things: the kernel offers it in INIT; everything that can fail for want of something is
// made; the answer to INIT takes it; start(). From the answer on the kernel holds back every
// request until each of its queues has an entry, so nothing may come between that waits for a
// request. An entry that the kernel then does not take makes it go back to /dev/fuse, by itself.
//
// Who serves a queue: the kernel copies a request's data on the thread that its entry belongs to,
// and a program's requests all come by one queue, that of its processor. So the entries of a queue
// belong to several loops, and by turns: the kernel takes the entry that came back last, so as many
// requests as a program has at once keep to as many entries, those that were enrolled last. With
// the entries of one loop side by side four reads of 1 MiB went through one thread, at 0.6 times
// the speed of /dev/fuse. A deeper queue leaves them in another order, which uring_shares.h mends.
//
// What lost when it was measured: one loop for all (0.5 at 1 MiB, 0.9 at depth 16, though it costs
// least processor time there); and to hand the answer of each long request to a loop that waits for
// work, where another one waits already for this loop: writes of 1 MiB gained as much as reads
// lost, and for blocks of 64 KiB the wake cost more than it gave. Once after a change of load is
// enough.
#pragma once

#include <barrier>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "fuse/uring_loop.h"

namespace dmremap {

class UringServer {
public:
    // Nothing is asked of the kernel's fuse yet; the threads are there, and wait. `descriptor` is
    // one of the mount's. Throws Refusal(system), bad_alloc or system_error.
    UringServer(Filesystem& filesystem, int descriptor, unsigned most_loops,
                const UringLoop::Elsewhere& elsewhere);
    ~UringServer() { end(); }

    void start();

    // The kernel has let the mount go. Returns when no data of the disk is under way any more.
    // Answers of others may still come, until this object is gone. Idempotent.
    void end();

private:
    enum class Phase : std::uint8_t { waiting, serving, given_up };
    void serve(UringLoop& loop);
    void enter(Phase phase);

    std::optional<UringLoops> loops_;
    std::size_t turns_ = 0;  // of enrolling
    std::optional<std::barrier<>> turn_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Phase phase_ = Phase::waiting;
    std::size_t prepared_ = 0;
    int error_ = 0;  // of one that could not be
    std::vector<std::thread> threads_;
};

}  // namespace dmremap
