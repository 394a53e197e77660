// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that waits for many system calls at once. A device that is asked on such a thread gives
// it the call instead of blocking it or waking another thread, and is told the result there.
//
// One per thread, for as long as the thread serves: current() is it, or null on all other threads.
#pragma once

#include "core/device/device.h"

namespace dmremap {

class IoLoop {
public:
    IoLoop() = default;
    IoLoop(const IoLoop&) = delete;
    IoLoop& operator=(const IoLoop&) = delete;
    virtual ~IoLoop() = default;

    static IoLoop* current() { return current_; }

    // Starts the read, write or flush (of data, as fdatasync) that io asks for on `fd`. Its result,
    // bytes or a negative errno, comes to io.moved on this thread, never before this returns. On
    // the loop's own thread only. False: no room; nothing was started.
    virtual bool start(Io& io, int fd) = 0;

protected:
    static thread_local IoLoop* current_;
};

}  // namespace dmremap
