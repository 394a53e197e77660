// SPDX-License-Identifier: GPL-2.0-or-later
// Serves a mount by loops over io_uring (ring_loop.h): opens their descriptors, starts and ends
// them, and gives libfuse, on threads of their own, what is not the disk's data. Where it is wanted
// and can be had, requests come by FUSE over io_uring (uring_server.h), and the loops are left with
// what the kernel sends by /dev/fuse all the same.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/device/thread_pool.h"
#include "core/device/unique_fd.h"
#include "fuse/data_slot.h"
#include "fuse/filesystem.h"
#include "fuse/mount_options.h"
#include "fuse/ring_loop.h"
#include "fuse/uring_server.h"

namespace dmremap {

class RingServer {
public:
    // A mounted session that nobody serves yet. Throws Refusal(system) where this cannot work;
    // the session is then as it was. `filesystem` and `session` must outlive serve(); this object
    // must live until nobody answers any more.
    RingServer(Filesystem& filesystem, fuse_session& session, unsigned most_loops);

    // The first message is where kernel and libfuse agree on a protocol; none other comes before it
    // is answered. Throws Refusal where FUSE over io_uring must be had and cannot.
    void greet(IoUring wanted);

    // After greet(), until the file system is unmounted. 0 or a positive errno.
    int serve();

private:
    int clone_channel(int session);
    void prepare_io_uring(IoUring wanted, bool offered);
    void handle_elsewhere(DataSlot& slot, std::size_t length);
    void handle_elsewhere(UringRequest& request);

    Filesystem& filesystem_;
    fuse_session& session_;
    const unsigned most_loops_;
    int greeting_ = 0;  // why there was none
    DataSlots slots_;
    std::vector<UniqueFd> clones_;
    std::vector<std::unique_ptr<RingLoop>> loops_;
    std::optional<UringServer> uring_;
    ThreadPool others_;
};

}  // namespace dmremap
