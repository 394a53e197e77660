// SPDX-License-Identifier: GPL-2.0-or-later
// The answer to work on a range of blocks, some of which may be done and others refused.
#pragma once

#include <cstdint>

namespace dmremap {

// What came of remapping or unmapping by hand, in blocks.
struct RangeResult {
    std::uint64_t changed = 0;    // done, durable
    std::uint64_t unchanged = 0;  // were so already
    std::uint64_t refused = 0;    // left, or put back, as they were
    // Of the refused block with the lowest number; error is 0 when there is none:
    //   EINVAL   the range is not inside the disk (nothing was tried)
    //   ENODEV   the disk was closed; from `sector` on nothing was tried
    //   EROFS    the disk is, or has become, read-only
    //   ENOSPC   no slot is left
    //   ENODATA  unmap: sectors of the block are lost; see Disk::unmap()
    //   EAGAIN   unmap: an older record of the block may be on the spare; see Disk::unmap()
    //   EIO      main or the slot cannot be read or written, or the change not be committed
    // or what the device said.
    int error = 0;
    std::uint64_t sector = 0;

    // One more refused block, by its first sector.
    void refuse(std::uint64_t first_sector, int why) {
        if (error == 0 || first_sector < sector) {
            error = why;
            sector = first_sector;
        }
        refused++;
    }
};

}  // namespace dmremap
