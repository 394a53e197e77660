// SPDX-License-Identifier: GPL-2.0-or-later
// The mount itself: a FUSE session from mounting to the last request.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "fuse/filesystem.h"
#include "fuse/mount_options.h"
#include "fuse/ring_server.h"

namespace dmremap {

class Session {
public:
    // Nothing is mounted yet. `filesystem` outlives this. Throws Refusal(system).
    Session(Filesystem& filesystem, const MountOptions& options);
    ~Session() { unmount(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Mounts, and makes ready what is to serve. Throws Refusal(system); of mounting libfuse has
    // logged why.
    void mount();

    // Serves until the file system is unmounted, from threads of its own. 0 or a positive errno.
    int serve();

    // Cuts the mount off if it is still there; no request may be open. Idempotent.
    void unmount();

private:
    struct Free {
        void operator()(fuse_session* session) const { fuse_session_destroy(session); }
    };

    void choose_engine();
    int serve_by_libfuse();

    Filesystem& filesystem_;
    const std::string mountpoint_;
    const Engine engine_;
    const IoUring io_uring_;
    const unsigned max_threads_;
    std::unique_ptr<fuse_session, Free> session_;
    std::optional<RingServer> ring_;
    bool mounted_ = false;
};

}  // namespace dmremap
