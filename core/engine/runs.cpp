// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/runs.h"

#include <algorithm>

#include "core/engine/block_io.h"

namespace dmremap {

namespace {

class Cutter {
public:
    Cutter(const Context& disk, Piece& piece) : disk_(disk), piece_(piece) {}

    // Adds [begin, end) of the disk, at `offset` of a device, to the last run or as a new one.
    void add(bool on_spare, std::uint64_t offset, std::uint64_t begin, std::uint64_t end) {
        if (begin >= end || (on_spare && piece_.op == Op::discard)) {
            return;  // a discard never reaches a slot: old data may stay
        }
        Io* const last = count_ > 1 ? &piece_.runs->runs.back().io : &piece_.io;
        if (count_ != 0 && last_on_spare_ == on_spare && last->offset + last->length == offset) {
            last->length += end - begin;
            return;
        }
        if (count_ == 1) {
            piece_.runs = std::make_unique<RunSet>();
            push(piece_.io, piece_.on_spare);
        }
        Io io;
        io.op = piece_.op;
        io.offset = offset;
        io.length = end - begin;
        io.data = piece_.data == nullptr ? nullptr : piece_.data + (begin - piece_.offset);
        if (count_++ == 0) {
            piece_.io = io;
            piece_.on_spare = on_spare;
        } else {
            push(io, on_spare);
        }
        last_on_spare_ = on_spare;
    }

    Cut cut() {
        const std::uint64_t end = piece_.offset + piece_.length;
        std::uint64_t at = piece_.offset;
        for (FoundRemap remap = disk_.map->lower_bound(piece_.offset / DMR_BLOCK_SIZE);
             remap != nullptr && remap->block * DMR_BLOCK_SIZE < end;
             remap = disk_.map->next(remap)) {
            const std::uint64_t block = remap->block * DMR_BLOCK_SIZE;
            const std::uint64_t begin = std::max(block, at);
            const std::uint64_t stop = std::min<std::uint64_t>(block + DMR_BLOCK_SIZE, end);
            if (piece_.op != Op::discard) {
                const bool lost = (remap->lost & sectors_touched(begin - block, stop - block)) != 0;
                if (remap->fenced() || (lost && piece_.op == Op::read)) {
                    return Cut::lost;
                }
                if (lost) {
                    return Cut::exclusive;
                }
            }
            add(false, at, at, begin);
            add(true, disk_.slot_offset(remap->slot) + (begin - block), begin, stop);
            at = stop;
        }
        add(false, at, at, end);
        return count_ == 0 ? Cut::nothing : count_ == 1 ? Cut::one_run : Cut::runs;
    }

private:
    void push(const Io& io, bool on_spare) {
        piece_.runs->runs.push_back(Run{.io = io, .piece = &piece_, .on_spare = on_spare});
    }

    const Context& disk_;
    Piece& piece_;
    std::size_t count_ = 0;  // of runs; the first alone is the piece's own
    bool last_on_spare_ = false;
};

}  // namespace

Cut cut_into_runs(const Context& disk, Piece& piece) { return Cutter(disk, piece).cut(); }

Piece::Piece() = default;
Piece::~Piece() = default;

}  // namespace dmremap
