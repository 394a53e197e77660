// SPDX-License-Identifier: GPL-2.0-or-later
// Loop devices: what they stand on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dmremap {

struct LoopBacking {
    std::string path;          // as the kernel tells it; may belong to another mount namespace
    bool known = false;        // the rest is set: the kernel could be asked, or the path found
    dev_t dev = 0;             // of the backing file: its file system,
    ino_t inode = 0;           //   its inode,
    dev_t rdev = 0;            //   and, where the backing "file" is a block device, that device
    std::uint64_t offset = 0;  // bytes into the backing file
    bool direct = false;       // does not go through the page cache
};

// Of the whole disk whose directory in sysfs this is; nothing if it is no attached loop device.
std::optional<LoopBacking> loop_backing(dev_t rdev, const std::string& sysfs);

// All attached loop devices of the machine.
std::vector<dev_t> attached_loops();

}  // namespace dmremap
