// SPDX-License-Identifier: GPL-2.0-or-later
// Opening a block device or an image: exclusive, measured, with direct I/O where it can be had.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/device/device_facts.h"
#include "core/device/file_device.h"
#include "core/device/unique_fd.h"

namespace dmremap {

struct OpenFile {
    UniqueFd fd;
    std::vector<UniqueFd> layers;  // of a block device: the locks on what it stands on
    DeviceKind kind = DeviceKind::image;
    DeviceInfo info;
    bool direct = false;
    std::uint32_t memory_alignment = 1;  // bytes, of memory for I/O
    std::uint32_t file_block = 4096;  // images: bytes; what the file system frees and zeroes whole
    bool sparse = false;              // images: had holes when it was opened
};

// Throws Refusal: busy after options.lock_wait_seconds, read-only, of an impossible size, ...
OpenFile open_file(const FoundDevice& found, const FileOptions& options);

}  // namespace dmremap
