// SPDX-License-Identifier: GPL-2.0-or-later
// One of a few threads that serve the mount. It waits for a message, and does at once what can be
// done at once. What cannot, a call to a disk, goes to an io_uring; and as long as some are under
// way there, messages and answers go there, too, and one system call starts what was queued and
// fetches what has ended. So few threads serve a queue as deep as the kernel makes it, and a
// shallow one is served as directly as it can be.
//
// It has two descriptors of the mount. The one that waits is read while nothing is under way: the
// kernel wakes one reader for a message. The other one does not wait, for io_uring tries a call
// before it sets up a wait for it only where the descriptor says so; otherwise each would cost a
// worker thread of the kernel.
//
// Reads and writes of the disk do not pass libfuse: their messages are a header and a place, and
// their answers a header before the data (data_slot.h). All else, rare and perhaps slow, goes to
// libfuse on another thread, so that nobody who asks the control directory holds up the disk.
//
// What lost when it was measured, images on tmpfs, against reading and writing /dev/fuse directly:
// everything by the ring (a poll wakes every loop: 0.88 at depth 1); the descriptor that waits
// under io_uring (a seventh); libfuse's loop with a pool for the calls to the disk, which is
// `engine=threads` (0.37 to 1.05 by load); splice (a third to a quarter at 4 KiB).
//
// And on a disk that hands back a deep queue all at once (README.md), random reads at depth 16,
// against this: to answer 1 to 6 of what has ended before the next messages are fetched (0.89
// to 1.14 from run to run, so nothing); one to three loops (0.87 to 0.97); loops and their user
// each on a processor of its own, or both on one (0.87 to 1.04).
//
// Interrupts matter to messages only, which may take hours. A request to a disk ends when the disk
// has answered.
#pragma once

#include <functional>

#include "fuse/call_ring.h"
#include "fuse/data_slot.h"

namespace dmremap {

class Filesystem;

// Not a thread yet: run() makes the calling one the loop's.
class RingLoop final : public CallRing {
public:
    // `elsewhere(slot, length)` takes over a message that is no read or write of the disk, with its
    // slot; it must not block.
    // Throws Refusal(system) where an io_uring cannot be had.
    using Elsewhere = std::function<void(DataSlot&, std::size_t)>;
    RingLoop(Filesystem& filesystem, DataSlots& slots, int waiting, int not_waiting,
             Elsewhere elsewhere);

    // Takes the ring for this thread alone; until the file system is unmounted, and all calls that
    // were started here have ended. 0 or a positive errno.
    int run();

private:
    static thread_local RingLoop* mine_;  // this thread's, so that no other touches a ring

    void serve_one();
    void receive();
    void received(DataSlot& slot, int result);
    void handle(DataSlot& slot, std::size_t length);
    void submit(DataSlot& slot);
    static void answered(ImageRequest& request, int error);
    bool reply(DataSlot& slot);
    void settle(Kind kind, void* subject, int result) override;

    Filesystem& filesystem_;
    DataSlots& slots_;
    const int waiting_, not_waiting_;
    const Elsewhere elsewhere_;
    bool receiving_ = false;  // by the ring; not one of the calls that are under way
    bool ended_ = false;
    int error_ = 0;
};

}  // namespace dmremap
