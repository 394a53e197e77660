// SPDX-License-Identifier: GPL-2.0-or-later
// The tape: what a guest's disks were asked for, in the one order in which it was done.
//
// A file of entries, each a TapeEntry and, for a write, the bytes. Written by disks.cpp, read by
// cuts.cpp on the same machine, so numbers are as the machine has them. A flush makes durable what
// was written to its own disk before it; what is not durable a power cut may take.
#pragma once

#include <cstdint>

struct TapeEntry {
    enum class Kind : std::uint32_t {
        disk,   // `disk` has `length` bytes, all zeros; before any other entry of it
        write,  // bytes follow; `fua`: durable at once
        flush,
        bad,  // from now on [offset, offset + length) of `disk` takes no writes; `unreadable`: no
              // reads
    };
    Kind kind = Kind::flush;
    std::uint32_t disk = 0;  // number, in order of the command line
    std::uint32_t fua = 0;
    std::uint32_t unreadable = 0;
    std::uint64_t offset = 0, length = 0;  // bytes
};
static_assert(sizeof(TapeEntry) == 32);
