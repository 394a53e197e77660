// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/batch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <new>

#include "core/device/error_class.h"

namespace dmremap {

namespace {

// Each try that is not the last costs a page; one fails only when this many pages, at ever greater
// distances, take no write.
constexpr int kCommitTries = 24;
// After so many pages, each much further away, it is likely that all of the second table takes no
// write.
constexpr unsigned kPagesForTwoCopies = 4;
// So many fresh slots in a row refuse a write: it is the spare that fails, not its slots.
constexpr std::size_t kSlotsInARow = 8;

std::uint64_t first_sector(std::uint64_t block) { return block * DMR_SECTORS_PER_BLOCK; }

}  // namespace

int Batch::write_new_slot(const BlockData& data, std::uint64_t& slot) {
    std::array<std::uint64_t, kSlotsInARow> refused{};
    std::size_t refusals = 0;
    const auto give_up = [&](int error) {
        for (std::size_t i = 0; i < refusals; i++) {
            disk_.table->give_back(refused[i]);
        }
        return error;
    };
    while (refusals < kSlotsInARow) {
        std::optional<std::uint64_t> free;
        int none = 0;
        try {
            free = disk_.table->allocate(none);
        } catch (const std::bad_alloc&) {
            return give_up(ENOMEM);
        }
        if (!free) {
            io_.judge_spare(Op::write, disk_.table->device_error());
            return give_up(none);
        }
        const std::uint64_t offset = disk_.slot_offset(*free);
        int error = io_.write_spare(offset, data.data(), data.size());
        if (classify(error) == ErrorClass::medium) {
            error = io_.write_spare(offset, data.data(), data.size());
        }
        if (error == 0) {
            slot = *free;
            for (std::size_t i = 0; i < refusals; i++) {
                disk_.board->report(EventKind::bad_slot,
                                    disk_.slot_offset(refused[i]) / DMR_SECTOR_SIZE);
                erase_later(refused[i], true);
            }
            disk_.board->clear("spare_unwritable");
            return 0;
        }
        refused[refusals++] = *free;
        if (classify(error) == ErrorClass::no_space) {
            return give_up(ENOSPC);
        }
        if (classify(error) != ErrorClass::medium) {
            return give_up(error);
        }
    }
    disk_.board->raise(State::degraded, "spare_unwritable", disk_.spare->info().name,
                       " refuses writes to ", refusals, " slots in a row; check it");
    return give_up(EIO);
}

// An erasure that is forgotten harms nobody: the slot stays reserved, or superseded by a newer
// claim, until the next opener finds it.
void Batch::erase_later(std::uint64_t slot, bool bad) noexcept {
    const std::uint8_t state = bad ? DMR_BAD_SLOT : DMR_FREE;
    try {
        erasures_.push_back(EntryChange{.slot = slot, .state = state});
    } catch (const std::bad_alloc&) {
    }
}

// Throws bad_alloc, and then nothing is staged.
void Batch::stage(Staged staged) {
    results_.try_emplace(staged.block, 0);
    staged_.push_back(std::move(staged));
}

int Batch::relocate(std::uint64_t block, const BlockData& data, SectorMask lost, SectorMask retry,
                    std::uint8_t reason, std::optional<OldSlot> old, SectorMask salvaged) {
    std::uint64_t slot = 0;
    int error = write_new_slot(data, slot);
    // What was moved left slots behind: those that are due, and those that are once this commit has
    // made their replacements durable. Erasures that cannot be committed stay.
    for (int again = 0; again < 2 && error == ENOSPC && has_erasures() && disk_.writable();
         again++) {
        commit();
        error = write_new_slot(data, slot);
    }
    if (error != 0) {
        ran_out_ = ran_out_ || (error == ENOSPC && !disk_.board->active("spare_fs_full"));
        return error;
    }
    try {
        Staged staged;
        staged.block = block;
        staged.slot = slot;
        staged.lost = lost;
        staged.retry = retry;
        staged.reason = reason;
        staged.old = old;
        staged.cleared = salvaged;
        staged.salvaged = salvaged != 0;
        staged.data = std::make_unique<BlockData>(data);
        stage(std::move(staged));
    } catch (const std::bad_alloc&) {
        disk_.table->give_back(slot);
        return ENOMEM;
    }
    return 0;
}

void Batch::change_marks(const Remap& remap, SectorMask lost, SectorMask retry, bool salvaged) {
    Staged staged;
    staged.block = remap.block;
    staged.slot = remap.slot;
    staged.lost = lost;
    staged.retry = retry;
    staged.reason = disk_.table->entry(remap.slot).reason;
    staged.cleared = static_cast<SectorMask>(remap.lost & ~lost);
    staged.salvaged = salvaged;
    stage(std::move(staged));
}

int Batch::result(std::uint64_t block) const {
    const auto at = results_.find(block);
    return at == results_.end() ? 0 : at->second;
}

void Batch::fail(Staged& staged, int error) {
    staged.settled = true;
    staged.result = error;
    if (!staged.issued) {
        if (staged.data && !staged.unmap) {
            disk_.table->give_back(staged.slot);
        }
        return;
    }
    if (staged.stands_once && !disk_.table->broken() && !disk_.flush_failed) {
        rest_on_one_copy(staged);
        return;
    }
    staged.result = EIO;  // for want of a slot, too: what came of the change is not known
    if (!staged.old || !staged.old->same) {
        Remap fence;
        fence.block = staged.block;
        fence.slot = Remap::kFenced;
        disk_.map->put(fence);
        disk_.fences.add(staged.block);
    }
    if (!disk_.board->active("commit_failed")) {
        disk_.board->report(EventKind::commit_failed, first_sector(staged.block));
    }
    disk_.board->raise(State::read_only, "commit_failed", "an entry could not be committed to ",
                       disk_.spare->info().name, "; unmount, check the spare, and mount again");
}

// One bad copy costs nothing (P4), also where it is all of one table: what stands in the other, and
// finds no page that takes both, counts after all.
void Batch::rest_on_one_copy(Staged& staged) {
    if (staged.slot != *staged.stands_once && !staged.slotless) {
        disk_.table->give_back(staged.slot);
    }
    staged.slot = *staged.stands_once;
    if (staged.old && staged.old->slot == staged.slot) {
        staged.old.reset();  // marks, in the slot where the block is
        staged.data.reset();
    }
    publish(staged);
    disk_.board->raise(
        State::degraded, "metadata_in_doubt", disk_.spare->info().name,
        " takes one copy of its entry table's pages but not the other, which holds an "
        "older version; were the first lost now, the older one would count: replace "
        "the spare");
}

// The error of one that is only in want of resources leaves the change as it is, to be tried again.
bool Batch::may_pass(int error) { return classify(error) == ErrorClass::resource; }

void Batch::find_slot(Staged& staged) {
    const int error = write_new_slot(*staged.data, staged.slot);
    staged.slotless = error != 0;
    if (error != 0 && !may_pass(error)) {
        fail(staged, error);
    }
}

// An entry write was issued to a page that then failed: the same change on another page. Where it
// stands in one copy there, it supersedes that.
void Batch::send_elsewhere(Staged& staged, bool durable_once) {
    const std::uint64_t failed_slot = staged.slot;
    if (durable_once) {
        staged.stands_once = failed_slot;
        // Each try costs a page, so until the next salvage others try one.
        disk_.one_copy_only = disk_.one_copy_only || ++staged.stood_once == kPagesForTwoCopies;
        if (disk_.one_copy_only) {
            rest_on_one_copy(staged);
            return;
        }
    }
    if (!staged.data) {
        // The marks' block moves whole. What is lost stays so, and is not read.
        staged.data.reset(new (std::nothrow) BlockData());
        if (!staged.data) {
            return;  // it is tried again, see commit()
        }
        SectorMask bad = 0;
        const int error = io_.salvage_spare(disk_.slot_offset(failed_slot), staged.data->data(),
                                            disk_.block_length(staged.block), bad);
        if (may_pass(error)) {
            staged.data.reset();
            return;
        }
        if (error != 0 || (bad & ~staged.lost) != 0) {
            fail(staged, EIO);
            return;
        }
        staged.old = OldSlot{.slot = failed_slot, .bad = false, .same = false};
    } else if (!durable_once) {
        disk_.table->give_back(failed_slot);
    }
    find_slot(staged);
}

void Batch::publish(Staged& staged) {
    staged.settled = true;
    staged.result = staged.refused;
    Remap remap;
    remap.block = staged.block;
    remap.slot = staged.slot & Remap::kFenced;
    remap.lost = staged.lost;
    remap.retry = staged.retry;
    disk_.map->put(remap);
    const std::uint64_t sector = first_sector(staged.block);
    if (staged.old) {
        if (staged.old->bad) {
            disk_.board->report(EventKind::bad_slot,
                                disk_.slot_offset(staged.old->slot) / DMR_SECTOR_SIZE);
        }
        erase_later(staged.old->slot, staged.old->bad);
    }
    if (staged.old || staged.was_unmap) {
        disk_.totals.moves++;
        disk_.board->report(EventKind::moved, sector);
    } else if (staged.data) {
        disk_.totals.remaps++;
        disk_.totals.by_reason[staged.reason]++;
        disk_.board->report(EventKind::remapped, sector, 0, reason_word(staged.reason));
        if (staged.lost != 0) {
            const auto count = static_cast<unsigned>(std::popcount(staged.lost));
            disk_.totals.sectors_lost += count;
            disk_.board->report(EventKind::lost,
                                sector + static_cast<unsigned>(std::countr_zero(staged.lost)),
                                count);
        }
    }
    if (staged.cleared != 0) {
        const auto count = static_cast<unsigned>(std::popcount(staged.cleared));
        if (staged.salvaged) {
            disk_.totals.sectors_salvaged += count;
        }
        disk_.board->report(staged.salvaged ? EventKind::salvaged : EventKind::rewritten,
                            sector + static_cast<unsigned>(std::countr_zero(staged.cleared)),
                            count);
    }
}

// Whether the claim that replaced the one in this slot, if one did, stands in two copies.
bool Batch::winner_is_firm(std::uint64_t slot) const {
    const dmr_entry entry = disk_.table->entry(slot);
    if (entry.state != DMR_REMAPPED) {
        return true;
    }
    const FoundRemap winner = disk_.map->find(dmr_le64(entry.main_block));
    return winner == nullptr || (!winner->fenced() && !disk_.table->retired(winner->slot));
}

// Puts the erasures that can be made now first; how many these are. On a retired page nothing is
// written: the claim stays superseded by the newer one.
std::size_t Batch::due_erasures() {
    const EntryTable& table = *disk_.table;
    std::erase_if(erasures_, [&](const EntryChange& erasure) {
        return table.retired(erasure.slot) && !table.owes();
    });
    const auto waiting =
        std::partition(erasures_.begin(), erasures_.end(), [&](const EntryChange& erasure) {
            return !table.retired(erasure.slot) && winner_is_firm(erasure.slot);
        });
    return static_cast<std::size_t>(waiting - erasures_.begin());
}

// For what is staged, to publish or to fence it.
void Batch::make_room_in_map() {
    std::array<unsigned, kGates> blocks{};
    disk_.fences.make_room(staged_.size());
    for (const Staged& staged : staged_) {
        if (!staged.settled) {
            disk_.map->make_room(staged.block, ++blocks[gate_of(staged.block * DMR_BLOCK_SIZE)]);
        }
    }
}

// Throws bad_alloc; what was not settled before is then as it was, and can be tried again.
void Batch::try_commit(int tried) {
    make_room_in_map();
    commit_claims(tried);
    commit_unmaps();
}

// Throws bad_alloc, and then has changed nothing.
void Batch::commit_claims(int tried) {
    std::vector<Staged*> order;
    order.reserve(staged_.size());
    for (Staged& staged : staged_) {
        if (staged.slotless && !staged.settled) {
            find_slot(staged);
        }
        if (!staged.settled && !staged.unmap && !staged.slotless) {
            order.push_back(&staged);
        }
    }
    const std::size_t first = due_erasures();
    if (order.empty() && first == 0) {
        return;
    }
    if (io_.flush_spare() != 0) {
        for (Staged* const staged : order) {
            fail(*staged, EIO);
        }
        return;
    }
    std::vector<EntryChange> changes(erasures_.begin(),
                                     erasures_.begin() + static_cast<std::ptrdiff_t>(first));
    for (const Staged* const staged : order) {
        changes.push_back(EntryChange{.slot = staged->slot,
                                      .state = DMR_REMAPPED,
                                      .main_block = staged->block,
                                      .lost = staged->lost,
                                      .retry = staged->retry,
                                      .reason = staged->reason,
                                      .replaces = staged->stands_once ? staged->stands_once
                                                  : staged->old ? std::optional(staged->old->slot)
                                                                : std::nullopt});
    }
    const bool was_broken = disk_.table->broken();
    const std::vector<CommitOutcome> outcomes = disk_.table->commit(changes);
    // Now: whoever needs another slot asks the table again.
    const int device_error = disk_.table->device_error();
    io_.judge_spare(Op::write, device_error);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < erasures_.size(); i++) {
        if (i >= first || outcomes[i] == CommitOutcome::refused) {
            erasures_[kept++] = erasures_[i];
        }
    }
    erasures_.erase(erasures_.begin() + static_cast<std::ptrdiff_t>(kept), erasures_.end());
    if (std::ranges::find(outcomes, CommitOutcome::page_failed) != outcomes.end()) {
        disk_.table->look_further(1ull << tried);
    } else if (std::ranges::find(outcomes, CommitOutcome::durable_once) != outcomes.end()) {
        disk_.table->look_further(1ull << std::min(4 * tried, 40));  // there are few tries
    }
    for (std::size_t i = 0; i < order.size(); i++) {
        const bool refused = outcomes[first + i] == CommitOutcome::refused;
        order[i]->issued = order[i]->issued || !(was_broken || refused);
        switch (outcomes[first + i]) {
            case CommitOutcome::durable:
                publish(*order[i]);
                break;
            case CommitOutcome::owed:  // true, and not acknowledged
                order[i]->refused = device_error != 0 ? device_error : EIO;
                publish(*order[i]);
                break;
            case CommitOutcome::durable_once:
                send_elsewhere(*order[i], true);
                break;
            case CommitOutcome::page_failed:
                send_elsewhere(*order[i], false);
                break;
            case CommitOutcome::unknown:
                fail(*order[i], EIO);
                break;
            case CommitOutcome::refused:  // it is tried again
                break;
        }
    }
}

void Batch::commit() {
    const auto open = [this] {
        return std::any_of(staged_.begin(), staged_.end(),
                           [](const Staged& staged) { return !staged.settled; });
    };
    for (int tried = 0; tried < kCommitTries && (open() || (tried == 0 && has_erasures()));
         tried++) {
        try {
            try_commit(tried);
        } catch (const std::bad_alloc&) {  // the next try may find some
        }
    }
    for (Staged& staged : staged_) {
        if (!staged.settled) {
            // Or EIO, when an entry was written. The spare refused it, or there was no memory.
            const int refused = disk_.table->device_error();
            fail(staged, refused != 0 ? refused : ENOMEM);
        }
        results_.at(staged.block) = staged.result;
    }
}

void Batch::reset() {
    staged_.clear();
    results_.clear();
}

}  // namespace dmremap
