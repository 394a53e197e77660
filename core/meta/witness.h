// SPDX-License-Identifier: GPL-2.0-or-later
// The witness: checksums of up to 64 main blocks, taken at clean close, by which the next opener
// notices that main was written while it was detached.
//
// The blocks are those that every use of a disk behind our back rewrites (partition tables, the
// usual places of file systems' superblocks, the end of the disk), the rest spread evenly with an
// offset from the UUID. Remapped and unreadable blocks are left out. What is written elsewhere
// between two clean closes goes unnoticed; so does everything after an unclean one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/format.h"

namespace dmremap {

// The main blocks a witness of this pair consists of, at most DMR_WITNESS_BLOCKS, ascending.
std::vector<std::uint64_t> witness_blocks(const dmr_superblock& sb);

// Fills sb.witness and sets DMR_WITNESS (clears it when nothing could be read).
void take_witness(Device& main, const std::function<bool(std::uint64_t block)>& remapped,
                  dmr_superblock& sb);

struct WitnessResult {
    unsigned checked = 0;    // blocks that were recorded and could be read now
    unsigned different = 0;  // of those
    bool proves() const { return checked != 0 && different == 0; }
};

// Compares; all zero when there is no witness (never taken, or the last close was not clean).
WitnessResult check_witness(Device& main, const dmr_superblock& sb);

}  // namespace dmremap
