// SPDX-License-Identifier: GPL-2.0-or-later
// How much of a read or write of disk.img concerns the disk: as on a block device.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "core/disk.h"

namespace dmremap {

struct ImageRange {
    std::uint64_t length;  // bytes that are there; 0: the request ends here, with the error
    int error;             // positive errno; 0 for a read at the end, and for no bytes at all
};

// A read is whole up to the end of the disk; a write that begins behind it is ENOSPC.
inline ImageRange image_range(const Disk& disk, Op op, std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t size = disk.size();
    if (offset < size) return {std::min(length, size - offset), 0};
    return {0, op == Op::write && length != 0 ? ENOSPC : 0};
}

}  // namespace dmremap
