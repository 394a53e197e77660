// SPDX-License-Identifier: GPL-2.0-or-later
// Calls to main and spare made by the healer: counted, tried again where that makes sense, and cut
// down to logical blocks where a larger one fails. Blocking; the healer's thread, behind a closed
// gate.
//
// Errors are errnos of the devices. Resource errors (ENOMEM, EAGAIN, ...) are tried again a few
// times with short pauses before they are returned (patience.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/engine/context.h"

namespace dmremap {

using SectorMask = std::uint8_t;  // bit i: sector i of a block

// The sectors that the bytes [begin, end) of a block touch.
inline SectorMask sectors_touched(std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) {
        return 0;
    }
    const std::uint64_t first = begin / DMR_SECTOR_SIZE;
    const std::uint64_t last = (end - 1) / DMR_SECTOR_SIZE;
    return static_cast<SectorMask>((0xffu << first) & (0xffu >> (7 - last)));
}

class BlockIo {
public:
    explicit BlockIo(Context& disk) : disk_(disk) {}

    int read_main(std::uint64_t offset, std::byte* data, std::uint64_t length);
    int write_main(std::uint64_t offset, const std::byte* data, std::uint64_t length);
    int read_spare(std::uint64_t offset, std::byte* data, std::uint64_t length);
    int write_spare(std::uint64_t offset, const std::byte* data, std::uint64_t length);
    int flush_main();
    int flush_spare();

    // Reads what can be read of [offset, offset + length) on a device, by logical block with the
    // parameter's retries. `bad` receives the sectors, counted from offset, that are unreadable for
    // medium errors; their bytes are zeros. At most a block. Any other error is returned.
    int salvage_main(std::uint64_t offset, std::byte* data, std::uint64_t length, SectorMask& bad);
    int salvage_spare(std::uint64_t offset, std::byte* data, std::uint64_t length, SectorMask& bad);

    // What the spare answered, to anybody: of a spare that is gone, or has no room under it, or is
    // back, people are told.
    void judge_spare(Op op, int error);

private:
    int call(Device& device, Op op, std::uint64_t offset, std::byte* data, std::uint64_t length);
    int salvage(Device& device, std::uint64_t offset, std::byte* data, std::uint64_t length,
                SectorMask& bad);

    Context& disk_;
    bool spare_gone_ = false;
    bool spare_fs_full_ = false;
};

}  // namespace dmremap
