// SPDX-License-Identifier: GPL-2.0-or-later
// Blocks that go back to main.
//
// Order, behind the closed gate:
//   1. the block's data to main, but for lost sectors; flush main; read it back and compare
//   2. commit the entry as free, like any other change (both copies, see entry_table.h)
//   3. publish: the block is on main; acknowledge
//
// Until the gate opens main and slot hold the same data (a lost sector goes back only by force, and
// only while main may have its last copy: then an error and what main gives are both right), so at
// any instant before that either answer a later open finds, "in the slot" or "on main", is right.
// Afterwards main changes and the slot may be given to another block; so the entry's old version
// must never count again:
//   * Both copies must say "free". Where only one is known to, or none (the page failed), the block
//     stays remapped: the same data goes to another slot, on another page, with a newer sequence
//     that wins whatever is on the failed page. It is never "rolled back" in memory to its old
//     slot, for the next open would roll it forward. The user is told EIO.
//   * No older claim on the block may be anywhere, for it would win now. Erasures that are due are
//     committed before, in a commit of their own; one that is refused for want of resources is
//     tried again, and the unmap waits for it. While any page is retired nothing is unmapped at
//     all.
//   * A failed flush of the spare leaves nothing known: the block is fenced.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/engine/batch.h"

namespace dmremap {

void Batch::unmap(const Remap& remap, const BlockData& data) {
    Staged staged;
    staged.block = remap.block;
    staged.slot = remap.slot;
    staged.lost = remap.lost;
    staged.retry = remap.retry;
    staged.reason = disk_.table->entry(remap.slot).reason;
    staged.data = std::make_unique<BlockData>(data);
    staged.unmap = true;
    stage(std::move(staged));
}

// Whether an older claim on the block only waits for an erasure that was refused just now.
bool Batch::older_claim_goes(std::uint64_t block) const {
    const EntryTable& table = *disk_.table;
    return !table.broken() && table.counts().retired_pages == 0 &&
           std::ranges::any_of(erasures_, [&](const EntryChange& erasure) {
               const dmr_entry entry = table.entry(erasure.slot);
               return entry.state == DMR_REMAPPED && dmr_le64(entry.main_block) == block;
           });
}

// Main's flush is done. 0: the slot may go.
int Batch::judge_unmap(const Staged& staged) {
    if (disk_.table->broken() || disk_.flush_failed) {
        return EROFS;
    }
    if (disk_.table->may_have_older_claim(staged.block)) {
        return EAGAIN;
    }
    return compare_main(staged);
}

int Batch::compare_main(const Staged& staged) {
    BlockData found;
    const std::uint64_t length = disk_.block_length(staged.block);
    const std::uint64_t grain = staged.lost == 0 ? length : disk_.logical_block;
    for (std::uint64_t at = 0; at < length; at += grain) {
        if ((staged.lost & sectors_touched(at, at + grain)) != 0) {
            continue;
        }
        const int error =
            io_.read_main(staged.block * DMR_BLOCK_SIZE + at, found.data() + at, grain);
        if (error != 0) {
            return error;
        }
        if (std::memcmp(found.data() + at, staged.data->data() + at, grain) != 0) {
            return EIO;
        }
    }
    return 0;
}

void Batch::publish_unmap(Staged& staged) {
    staged.settled = true;
    disk_.map->remove(staged.block);
    disk_.totals.unmaps++;
    disk_.board->report(EventKind::unmapped, staged.block * DMR_SECTORS_PER_BLOCK);
}

// The page failed: the unmap becomes a move. Where the entry is free already, durable once, nothing
// is left to be replaced or erased: its slot may be another block's once the page has two copies
// again.
void Batch::back_to_a_slot(Staged& staged, bool freed) {
    staged.unmap = false;
    staged.was_unmap = true;
    staged.refused = EIO;
    if (!freed) {
        staged.old = OldSlot{.slot = staged.slot, .bad = false, .same = false};
    }
    find_slot(staged);
}

// Throws bad_alloc, and then no entry was written; blocks that are refused already stay so.
void Batch::commit_unmaps() {
    std::vector<Staged*> order;
    for (Staged& staged : staged_) {
        if (!staged.settled && staged.unmap) {
            order.push_back(&staged);
        }
    }
    if (order.empty()) {
        return;
    }
    std::vector<EntryChange> changes;
    changes.reserve(order.size());
    // A page that is owed a copy could hold an older claim.
    if (disk_.table->pay_back() != 0 && !disk_.table->broken()) {
        io_.judge_spare(Op::write, disk_.table->device_error());
        return;  // all are tried again
    }
    const bool flushed = io_.flush_main() == 0;
    std::erase_if(order, [&](Staged* staged) {
        if (flushed && older_claim_goes(staged->block)) {
            return true;  // it is tried again
        }
        staged->result = flushed ? judge_unmap(*staged) : EIO;
        staged->settled = staged->result != 0;
        if (!staged->settled) {
            changes.push_back(EntryChange{.slot = staged->slot});
        }
        return staged->settled;
    });
    if (order.empty()) {
        return;
    }
    const std::vector<CommitOutcome> outcomes = disk_.table->commit(changes);
    io_.judge_spare(Op::write, disk_.table->device_error());
    for (std::size_t i = 0; i < order.size(); i++) {
        Staged& staged = *order[i];
        if (outcomes[i] == CommitOutcome::refused) {
            continue;  // it is tried again
        }
        staged.issued = true;
        if (outcomes[i] == CommitOutcome::unknown) {
            fail(staged, EIO);
        } else if (outcomes[i] == CommitOutcome::durable) {
            publish_unmap(staged);
        } else {
            back_to_a_slot(staged, outcomes[i] != CommitOutcome::page_failed);
        }
    }
}

}  // namespace dmremap
