// SPDX-License-Identifier: GPL-2.0-or-later
// What is done behind a closed gate, alone with a region: requests that failed on their first way
// or that need more than one call (parts of a logical block, lost sectors), and the healing itself.
//
// Nothing here trusts what the failed I/O saw: every block is looked up again, tried again, and
// only what fails now, alone, leads to a relocation. So a write that came between a failed read and
// its salvage is what the salvage finds.
//
// Changes go into the batch; the caller commits it, asks outcome() and only then completes the
// request and opens the gate. One thread (the healer's).
//
// Throws bad_alloc where memory does not suffice. What was staged before stays staged; a write that
// was being carried out has failed like any other: the old data or the new may be there.
#pragma once

#include <cstdint>
#include <vector>

#include "core/engine/batch.h"
#include "core/engine/block_io.h"
#include "core/engine/context.h"
#include "core/engine/piece.h"

namespace dmremap {

// What a scan learns of a block: weak is what can be read, but only by trying again.
enum class Finding : std::uint8_t { fine, weak, bad };

class Exclusive {
public:
    Exclusive(Context& disk, BlockIo& io, Batch& batch) : disk_(disk), io_(io), batch_(batch) {}

    // Carries out a piece. 0 or the errno that does not depend on the batch; `staged` receives the
    // blocks whose commit decides about a write's success.
    int run(Piece& piece, std::vector<std::uint64_t>& staged);

    // Reads the retry sectors of a block from main again; what comes back is staged: in its slot,
    // or in a new one where writing the old one would put good sectors under the pen, for which
    // nobody but us wants it written.
    void retry_lost(std::uint64_t block);

    // By hand, see Disk. 0: staged; EALREADY: nothing to do; or the errno.
    int remap_by_hand(std::uint64_t block);
    int unmap_by_hand(std::uint64_t block, bool force);

    // A block in doubt: to a slot on a good page, from where it is. 0: staged. EALREADY: a claim
    // of this session stands on a good page by now.
    int map_anew(std::uint64_t block);

    // For the scan: reads the block again and relocates it if it is bad, or if it is weak and such
    // blocks are to be moved. `failed`: a read of this block alone has failed just now. Of a block
    // in a slot the retry sectors are tried and the slot is read. 0: something is staged; EALREADY:
    // nothing is to be done, or nothing may be; or the errno for which it could not.
    int check(std::uint64_t block, bool failed, Finding& finding);
    // The same for a block that is read slowly: it moves, whole, though it can be read.
    int move_slow(std::uint64_t block, Finding& finding);

    // Moves the block in this slot, on a retired page, to a good page. False: it cannot be read
    // whole.
    bool move_away(std::uint64_t slot);

private:
    // The part of a block that a piece concerns: bytes [begin, end) of the block's `length`.
    struct Part {
        std::uint64_t block, length, begin, end;
        std::byte* data;  // null: zeros
        std::uint64_t offset() const { return block * DMR_BLOCK_SIZE + begin; }
    };

    int check_main(std::uint64_t block, bool failed, bool slow, Finding& finding);
    int check_slot(const Remap& remap, Finding& finding);
    int read_part(const Part& part);
    int read_main_part(const Part& part);
    int read_slot_part(const Part& part, const Remap& remap);
    int write_part(const Part& part, std::vector<std::uint64_t>& staged);
    int write_main_part(const Part& part, std::vector<std::uint64_t>& staged);
    int write_back(const Remap& remap, const BlockData& data);
    int write_slot_part(const Part& part, const Remap& remap, std::vector<std::uint64_t>& staged);
    bool near_good_ones(SectorMask sectors, SectorMask lost) const;
    void move_salvaged(const Remap& remap, const BlockData& content, SectorMask salvaged);
    int move_whole(const Remap& found);
    int move_written(const Remap& remap, BlockData& content, std::uint64_t begin, std::uint64_t end,
                     SectorMask lost, bool slot_is_bad);

    std::uint64_t floor_to_grain(std::uint64_t n) const {
        return n / disk_.logical_block * disk_.logical_block;
    }
    std::uint64_t ceil_to_grain(std::uint64_t n) const {
        return floor_to_grain(n + disk_.logical_block - 1);
    }

    Context& disk_;
    BlockIo& io_;
    Batch& batch_;
};

}  // namespace dmremap
