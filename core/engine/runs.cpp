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
        std::vector<Run>& runs = piece_.runs->runs;
        if (!runs.empty()) {
            Run& last = runs.back();
            if (last.on_spare == on_spare && last.io.offset + last.io.length == offset) {
                last.io.length += end - begin;
                return;
            }
        }
        Run run;
        run.io.op = piece_.op;
        run.io.offset = offset;
        run.io.length = end - begin;
        run.io.data = piece_.data == nullptr ? nullptr : piece_.data + (begin - piece_.offset);
        run.on_spare = on_spare;
        runs.push_back(run);
    }

    Cut cut() {
        const std::uint64_t end = piece_.offset + piece_.length;
        FoundRemap remap = disk_.map->lower_bound(piece_.offset / DMR_BLOCK_SIZE);
        if (remap == nullptr || remap->block * DMR_BLOCK_SIZE >= end) {
            return Cut::all_main;
        }
        piece_.runs = std::make_unique<RunSet>();
        std::uint64_t at = piece_.offset;
        for (; remap != nullptr && remap->block * DMR_BLOCK_SIZE < end;
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
        return Cut::runs;
    }

private:
    const Context& disk_;
    Piece& piece_;
};

}  // namespace

Cut cut_into_runs(const Context& disk, Piece& piece) { return Cutter(disk, piece).cut(); }

Piece::Piece() = default;
Piece::~Piece() = default;

}  // namespace dmremap
