// SPDX-License-Identifier: GPL-2.0-or-later
// Facts that the kernel and udev publish as small text files. Nothing here throws: what cannot be
// read is not known.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace dmremap {

// The whole of a small file, without white space at its end.
std::optional<std::string> read_text(const std::string& path);
std::optional<std::uint64_t> read_number(const std::string& path);

// The directory of a block device in sysfs, all links resolved; "" when there is none.
std::string sysfs_directory(dev_t rdev);

// Who sits on a block device inside the kernel (device-mapper, RAID, bcache), by names separated by
// ", "; "" when nobody does.
std::string kernel_holders(const std::string& sysfs);

// The value of KEY=value in a block device's uevent file, or of E:KEY=value in udev's record of it.
std::optional<std::string> uevent_value(const std::string& sysfs, const std::string& key);
std::optional<std::string> udev_value(dev_t rdev, const std::string& key);

// "/dev/sda1": the node of a block device, "" when there is none that is really this device.
std::string device_node(dev_t rdev);

// "\040" -> " ": names in the tables of /proc, and in our status line, are written so. What is no
// whole escape of a byte stays as it is.
std::string unescape_octal(const std::string& text);

// The number, as people write it, of the file system that is mounted topmost on this absolute path;
// "" when none is, or it is not known. Asks the kernel's list, and no file system.
std::string mounted_on(const std::string& path);

// As people write device numbers: "8:1".
std::string device_number(dev_t dev);

}  // namespace dmremap
