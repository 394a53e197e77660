// SPDX-License-Identifier: GPL-2.0-or-later
// Zeroing and discarding ranges of a file or block device without sending the zeros.
//
// A sparse image stays sparse: its ranges are punched out. An image that had all its space when it
// was opened keeps it: ranges are zeroed in place, and discarding does nothing, since space given
// back might not be there when the next write needs it (a spare is allocated fully for that
// reason).
#pragma once

#include <atomic>
#include <cstdint>

#include "core/device/file_open.h"

namespace dmremap {

class ZeroFile {
public:
    explicit ZeroFile(const OpenFile& file) : file_(file) {}

    // The part of [offset, offset + length) that can be zeroed whole: the file system would zero
    // the rest through the page cache, and report its errors too late.
    struct Range {
        std::uint64_t begin;
        std::uint64_t end;
    };
    Range whole_blocks(std::uint64_t offset, std::uint64_t length) const;

    // 0, EOPNOTSUPP (zeros must be written), or what failed. The range is one of whole_blocks().
    int zero(Range range);

    // 0 also where it is not supported.
    int discard(Range range);

private:
    int zero_image(Range range);

    const OpenFile& file_;
    // What is known not to work is not tried again. Any thread; the worst of a race is a second
    // try.
    std::atomic<bool> no_zero_range_{false};
    std::atomic<bool> no_punch_hole_{false};
    std::atomic<bool> no_zero_out_{false};
};

}  // namespace dmremap
