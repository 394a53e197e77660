// SPDX-License-Identifier: GPL-2.0-or-later
// From two paths to two devices that may be used together: opened, exclusive, compatible.
//
// What is checked here needs only the devices: sizes, block sizes, read-only, same or overlapping
// devices, loop devices over the same file, mounted. What needs the superblock (UUID, identity,
// witness, in-use mark) is checked by Disk::open(), what else is on the spare by format.
#pragma once

#include <memory>
#include <string>

#include "core/device/device.h"
#include "core/device/device_facts.h"

namespace dmremap {

class ThreadPool;

struct DevicePair {
    std::unique_ptr<Device> main;
    std::unique_ptr<Device> spare;
    // What the spare was opened through, for who has to look at it by other means: its path may
    // lead elsewhere by now. Null where there is no file or block device behind it.
    std::unique_ptr<FoundDevice> found_spare;
};

struct PairOptions {
    bool main_read_only = false;  // open main for reading only (format does)
    bool spare_read_only = false;
    unsigned lock_wait_seconds = 5;    // how long to wait for a closing owner
    std::shared_ptr<ThreadPool> pool;  // runs the devices' calls; null: the submitting thread does
};

// Opens both and checks them against each other. A pair that is wholly read-only shares its images
// with other readers; otherwise each device is ours alone. Throws Refusal.
DevicePair open_pair(const std::string& main_path, const std::string& spare_path,
                     const PairOptions& options);

// The spare alone, for tools that need no main. Throws Refusal.
std::unique_ptr<Device> open_spare(const std::string& path, bool read_only,
                                   unsigned lock_wait_seconds);

}  // namespace dmremap
