// SPDX-License-Identifier: GPL-2.0-or-later
// What signals do: SIGTERM, SIGINT and SIGHUP ask for the unmount.
//
// While somebody uses the disk the kernel refuses; then this says so once, the daemon goes on
// serving, and the unmount is tried again whenever the disk was closed and every few seconds (a
// shell's working directory leaves no trace here). It never takes the disk from under anybody.
//
// The unmount goes by the path, and so would meet whatever is topmost there: something that was
// mounted over the disk, or in its place after a lazy unmount. Before each try the kernel's list of
// mounts is asked; while it names another file system nothing is unmounted.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "core/device/unique_fd.h"

namespace dmremap {

class Unmounter {
public:
    // Blocks the signals; call before any thread is made, so that all inherit it.
    static void block_signals();

    // `mountpoint` is absolute. Throws Refusal(system).
    explicit Unmounter(std::string mountpoint);
    ~Unmounter();  // ends the thread
    Unmounter(const Unmounter&) = delete;
    Unmounter& operator=(const Unmounter&) = delete;

    // Takes signals from now on, those pending included, in a thread of its own. Only when the
    // mount is there: what is mounted on the same place before is somebody else's.
    void start();

    // Nobody has the disk open any more. Any thread; does not block.
    void disk_closed();

private:
    void run();
    bool signal_came();
    bool unmount() const;

    const std::string mountpoint_;
    std::string mounted_;  // what start() found there: the disk
    UniqueFd signals_;
    UniqueFd wake_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace dmremap
