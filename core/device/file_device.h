// SPDX-License-Identifier: GPL-2.0-or-later
// A block device or an image file as a Device.
//
// Errors are known at the moment they happen (P9): I/O is direct where the file system can do it in
// units of 512 bytes, otherwise every write is O_DSYNC, and the device's note says so. There a
// write ends with a flush of its own, and of two that are under way at once the kernel may tell the
// wrong one of an error, once: so writes and flushes are made one at a time.
//
// An image's logical block is always 512: what lies on it (a file system, the geometry a spare
// records) was made with that, and must not change when the image is copied to a host whose file
// system does direct I/O in larger units only; there O_DSYNC is the lesser evil. Its physical block
// is 4096: what lies below it cannot be known, and no disk in use today garbles more.
#pragma once

#include <memory>
#include <string>

#include "core/device/device.h"

namespace dmremap {

class FoundDevice;
class ThreadPool;

struct FileOptions {
    bool read_only = false;
    bool shared = false;             // images, with read_only: others may read at the same time
    bool direct = true;              // use direct I/O where it can be had
    unsigned lock_wait_seconds = 5;  // how long to wait for a closing owner
    // Runs the calls; null: they run in the thread that submits, before submit() returns.
    std::shared_ptr<ThreadPool> pool;
    std::string note;  // put before the device's own
};

// Opens it exclusively: O_EXCL on a block device (also for reading only: the kernel has no shared
// claim), locks on an image and on the file below a loop device. Throws Refusal.
std::unique_ptr<Device> open_file_device(const FoundDevice& found, const FileOptions& options);
std::unique_ptr<Device> open_file_device(const std::string& path, const FileOptions& options);

}  // namespace dmremap
