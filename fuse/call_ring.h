// SPDX-License-Identifier: GPL-2.0-or-later
// An io_uring that belongs to one thread, with the calls to the disk's devices in it: what the
// loops that serve a mount have in common.
//
// An entry of the ring carries a pointer and, in its low bits, of what kind it is. Calls to devices
// are ended here; all other kinds are the loop's.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "core/device/io_loop.h"

namespace dmremap {

// Made on any thread; used, but for that, by the one that called take_over() alone.
class CallRing : public IoLoop {
public:
    ~CallRing() override;

    bool start(Io& io, int fd) override;

protected:
    // What an entry is of. The pointers must be aligned to kKinds.
    enum Kind : std::uintptr_t { kDevice, kReceive, kReply, kWake, kKinds = 8 };

    // `flags` of io_uring_setup(2), beside those for one thread. Throws Refusal(system).
    explicit CallRing(unsigned flags);

    // Takes the ring for this thread, and makes it current(). 0 or a positive errno.
    int take_over();
    void let_go();  // nobody's loop any more

    // Null: no room, and the kernel takes nothing just now.
    io_uring_sqe* next_entry();
    static void mark(io_uring_sqe& entry, void* subject, Kind kind) {
        entry.user_data = reinterpret_cast<std::uintptr_t>(subject) | kind;
    }

    void submit() { io_uring_submit(&ring_); }  // what was queued, if that is possible just now

    // Starts what was queued, waits until one call has ended, unless `wait` is false, and settles
    // all that have.
    void serve(bool wait = true);
    virtual void settle(Kind kind, void* subject, int result) = 0;

    std::uint64_t under_way_ = 0;  // calls that must end before the loop may
    unsigned behind_ = 0;          // calls that have ended, and are to be settled after this one

private:
    io_uring ring_{};
};

}  // namespace dmremap
