// SPDX-License-Identifier: GPL-2.0-or-later
// What a path leads to, found without opening the device: kind, size, and where its bytes lie.
//
// Looking before opening is what lets a refusal say "mounted on /home" where the open itself could
// only say EBUSY. A found device is held by an O_PATH descriptor, and opened through it, so that
// what was looked at and what is opened are the same even if the path is moved in between.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/loop_device.h"
#include "core/device/unique_fd.h"

namespace dmremap {

// A range of bytes of a whole disk or of a file. A device has one for each layer that it can be
// reached through: a partition of a loop device is a range of the loop device and of its file.
struct Extent {
    bool image = false;  // a file: dev and inode; else a whole disk: dev alone
    dev_t dev = 0;
    ino_t inode = 0;
    std::uint64_t begin = 0;  // bytes
    std::uint64_t end = 0;
};

enum class DeviceKind { image, block };

struct DeviceFacts {
    DeviceKind kind = DeviceKind::image;
    dev_t dev = 0;  // of an image: its file system
    ino_t inode = 0;
    dev_t rdev = 0;  // of a block device
    std::uint64_t size = 0;
    bool read_only = false;  // cannot be written, whoever opens it
    // Block devices:
    dev_t disk = 0;           // the whole disk: rdev itself, or that of which it is a partition
    std::uint64_t start = 0;  // bytes into the disk
    std::string sysfs;        // directories of the device and of its disk, "" if not known
    std::string disk_sysfs;
    std::optional<LoopBacking> backing;  // of the disk, when it is a loop device
    std::vector<Extent> extents;

    bool partition() const { return kind == DeviceKind::block && disk != rdev; }
};

// Of an open descriptor, O_PATH will do. Throws Refusal: neither a file nor a block device.
DeviceFacts facts_of(int fd, const std::string& name);
DeviceFacts facts_of_block(dev_t rdev);

// Do they share a byte?
bool overlap(const DeviceFacts& a, const DeviceFacts& b);

class FoundDevice {
public:
    // Follows symbolic links. Throws Refusal: not found, neither a file nor a block device.
    explicit FoundDevice(const std::string& path);

    const std::string& name() const { return name_; }
    const DeviceFacts& facts() const { return facts_; }

    // Opens it with these open(2) flags; -1 and errno on failure.
    int open(int flags) const;

    // A path for a library that opens by itself: leads there as long as this object lives.
    std::string held_path() const;

private:
    std::string name_;
    UniqueFd path_fd_;
    DeviceFacts facts_;
};

}  // namespace dmremap
