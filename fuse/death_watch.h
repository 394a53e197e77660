// SPDX-License-Identifier: GPL-2.0-or-later
// Sees to it that a daemon that is killed takes its mount's connection with it.
//
// As a rule the kernel does that: with the last descriptor of /dev/fuse every request ends. But a
// thread that waits in the kernel cannot be killed, and keeps the descriptors of all. Where it
// waits for what only the daemon could do, as image_access.h's does for a page that is just being
// read, neither would ever end; the daemon would keep its locks on the pair, and nobody could look
// into the mount without waiting, too. So a process of its own, with none of the daemon's
// descriptors, waits for the daemon's death, and then aborts the connection.
//
// The kernel tells it when the daemon's first thread ends, however the others fare. It needs
// fusectl, or to be root; without them `umount -f` does the same by hand.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/device/unique_fd.h"

namespace dmremap {

class DeathWatch {
public:
    // Forks: before any thread is made, and before anything is open that must end with the daemon;
    // on the thread that will be the last to end. Without a process there is no watch, which is
    // logged.
    DeathWatch();
    // The daemon ends in order: the process goes.
    ~DeathWatch();
    DeathWatch(const DeathWatch&) = delete;
    DeathWatch& operator=(const DeathWatch&) = delete;

    // The mount is there. Absolute, as in the kernel's list.
    void mounted(const std::string& mountpoint);

private:
    UniqueFd to_process_;
    pid_t process_ = -1;
};

}  // namespace dmremap
