// SPDX-License-Identifier: GPL-2.0-or-later
// Where the facts of an identity come from: files, sysfs, udev, libblkid.
#pragma once

#include <map>
#include <string>

#include "core/device/device_facts.h"

namespace dmremap {

// Key -> value, as in the canonical text. Ordered, as the text wants it.
using IdentityFacts = std::map<std::string, std::string>;

// Of an image open for reading: fs, inode, birth.
void add_image_facts(int fd, IdentityFacts& facts);

// Of a block device: the facts of what a loop device stands on, or of the hardware; with offset.
void add_block_facts(const DeviceFacts& device, IdentityFacts& facts);

}  // namespace dmremap
