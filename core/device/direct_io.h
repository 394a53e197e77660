// SPDX-License-Identifier: GPL-2.0-or-later
// Can an open file be used with O_DIRECT in units of its logical block?
#pragma once

#include <cstdint>
#include <string>

namespace dmremap {

struct DirectIo {
    bool possible = false;
    std::uint32_t memory_alignment = 1;  // bytes; 1 where it does not matter
    std::string why_not;                 // words for people
};

// fd was opened with O_DIRECT and is at least one logical block long.
DirectIo examine_direct_io(int fd, std::uint64_t size, std::uint32_t logical_block);

}  // namespace dmremap
