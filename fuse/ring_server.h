// SPDX-License-Identifier: GPL-2.0-or-later
// Serves a mount by loops over io_uring (ring_loop.h): opens their descriptors, starts and ends
// them, and gives libfuse, on threads of their own, what is not the disk's data.
#pragma once

#include <memory>
#include <vector>

#include "core/device/thread_pool.h"
#include "core/device/unique_fd.h"
#include "fuse/data_slot.h"
#include "fuse/filesystem.h"
#include "fuse/ring_loop.h"

namespace dmremap {

class RingServer {
public:
    // A mounted session that nobody serves yet. Throws Refusal(system) where this cannot work;
    // the session is then as it was. `filesystem` and `session` must outlive serve(); this object
    // must live until nobody answers any more.
    RingServer(Filesystem& filesystem, fuse_session& session, unsigned most_loops);

    // Until the file system is unmounted. 0 or a positive errno.
    int serve();

private:
    int clone_channel(int session);
    int greet();
    void handle_elsewhere(DataSlot& slot, std::size_t length);

    fuse_session& session_;
    DataSlots slots_;
    std::vector<UniqueFd> clones_;
    std::vector<std::unique_ptr<RingLoop>> loops_;
    ThreadPool others_;
};

}  // namespace dmremap
