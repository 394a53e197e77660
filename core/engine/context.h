// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of an open disk share. Owned by the disk; lives as long as it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/device/device.h"
#include "core/engine/breaker.h"
#include "core/engine/counters.h"
#include "core/engine/fences.h"
#include "core/engine/flush_failure.h"
#include "core/engine/gates.h"
#include "core/engine/remap_map.h"
#include "core/engine/state_board.h"
#include "core/live_parameters.h"
#include "core/meta/entry_table.h"
#include "core/meta/superblock_store.h"

namespace dmremap {

// Numbers that only the healer changes and anybody reads.
struct HealerTotals {
    std::atomic<std::uint64_t> remaps{0}, moves{0}, unmaps{0}, sectors_lost{0}, sectors_salvaged{0};
    std::array<std::atomic<std::uint64_t>, 8> by_reason{};
};

struct Context {
    std::unique_ptr<Device> main, spare;  // behind flush guards
    dmr_superblock
        geometry{};          // as opened; only its geometry and UUID, which never change, are read
    std::uint64_t size = 0;  // of main, bytes
    std::uint32_t logical_block = 0;  // of main: the grain of losing and of aligned I/O
    bool read_only = false;           // opened so
    LiveParameters parameters;        // changed by the healer's thread

    std::unique_ptr<SuperblockStore> superblocks;  // opener, then the healer's thread
    std::unique_ptr<EntryTable> table;
    std::unique_ptr<RemapMap> map;
    Fences fences;
    std::unique_ptr<Gates> gates;
    std::unique_ptr<Counters> counters;
    std::unique_ptr<StateBoard> board;
    std::unique_ptr<Breaker> breaker;
    HealerTotals totals;

    // The healer's, until the next salvage: no page was found that takes both copies, see Batch.
    bool one_copy_only = false;
    // The opener's: a block in doubt could not be mapped anew, and stays so until the next opening.
    std::atomic<bool> doubt_left = false;

    FlushFailure flush_failed;  // sticky until reopen (P2)

    std::uint64_t slot_offset(std::uint64_t slot) const { return dmr_slot_offset(&geometry, slot); }
    std::uint64_t block_length(std::uint64_t block) const {
        return std::min<std::uint64_t>(DMR_BLOCK_SIZE, size - block * DMR_BLOCK_SIZE);
    }
    bool writable() const { return !read_only && board->writable(); }

    // A flush of a device failed: from now on every flush fails and nothing is changed any more.
    void note_flush_failure(const DeviceInfo& device, int error);
};

}  // namespace dmremap
