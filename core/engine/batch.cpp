// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/batch.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "core/engine/error_class.h"

namespace dmremap {

namespace {

// Each try that is not the last costs a page; one fails only when this many pages, at ever greater
// distances, take no write.
constexpr int kCommitTries = 24;
// So many fresh slots in a row refuse a write: it is the spare that fails, not its slots.
constexpr std::size_t kSlotsInARow = 8;

const char* reason_text(std::uint8_t reason) {
    switch (reason) {
        case DMR_REASON_READ:
            return "read error";
        case DMR_REASON_WRITE:
            return "write error";
        default:
            return "by hand";
    }
}

std::uint64_t first_sector(std::uint64_t block) { return block * DMR_SECTORS_PER_BLOCK; }

}  // namespace

int Batch::write_new_slot(const BlockData& data, std::uint64_t& slot) {
    std::vector<std::uint64_t> refused;
    const auto give_up = [&](int error) {
        for (const std::uint64_t bad : refused) {
            disk_.table->give_back(bad);
        }
        return error;
    };
    while (refused.size() < kSlotsInARow) {
        const auto free = disk_.table->allocate();
        if (!free) {
            return give_up(disk_.table->broken() ? EROFS : ENOSPC);
        }
        const std::uint64_t offset = disk_.slot_offset(*free);
        int error = io_.write_spare(offset, data.data(), data.size());
        if (classify(error) == ErrorClass::medium) {
            error = io_.write_spare(offset, data.data(), data.size());
        }
        if (error == 0) {
            slot = *free;
            for (const std::uint64_t bad : refused) {
                disk_.board->report(EventKind::bad_slot, disk_.slot_offset(bad) / DMR_SECTOR_SIZE);
                erasures_.push_back(EntryChange{.slot = bad, .state = DMR_BAD_SLOT});
            }
            disk_.board->clear("spare_unwritable");
            return 0;
        }
        refused.push_back(*free);
        if (classify(error) == ErrorClass::no_space) {
            return give_up(ENOSPC);
        }
        if (classify(error) != ErrorClass::medium) {
            return give_up(error);
        }
    }
    disk_.board->raise(State::degraded, "spare_unwritable",
                       disk_.spare->info().name + " refuses writes to " +
                           std::to_string(refused.size()) + " slots in a row; check it");
    return give_up(EIO);
}

int Batch::relocate(std::uint64_t block, const BlockData& data, SectorMask lost, SectorMask retry,
                    std::uint8_t reason, std::optional<OldSlot> old) {
    Staged staged;
    int error = write_new_slot(data, staged.slot);
    // What was moved left slots behind. Erasures whose flush failed stay, and nothing is written.
    while (error == ENOSPC && has_erasures() && disk_.writable()) {
        commit();
        error = write_new_slot(data, staged.slot);
    }
    if (error != 0) {
        if (error == ENOSPC && !disk_.board->active("spare_fs_full") &&
            !disk_.board->active("spare_full")) {
            disk_.board->report(EventKind::spare_full);
            disk_.board->raise(State::degraded, "spare_full",
                               "no slot is left on " + disk_.spare->info().name +
                                   "; bad blocks can not be moved any more");
        }
        return error;
    }
    staged.block = block;
    staged.lost = lost;
    staged.retry = retry;
    staged.reason = reason;
    staged.old = old;
    staged.data = std::make_unique<BlockData>(data);
    staged_.push_back(std::move(staged));
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
    staged_.push_back(std::move(staged));
}

int Batch::result(std::uint64_t block) const {
    const auto at = results_.find(block);
    return at == results_.end() ? 0 : at->second;
}

void Batch::fail(Staged& staged, int error) {
    staged.settled = true;
    staged.result = error;
    if (!staged.issued) {
        if (staged.data) {
            disk_.table->give_back(staged.slot);
        }
        return;
    }
    staged.result = EIO;  // for want of a slot, too: what came of the change is not known
    if (!staged.old || !staged.old->same) {
        Remap fence;
        fence.block = staged.block;
        fence.slot = Remap::kFenced;
        disk_.map->put(fence);
    }
    if (!disk_.board->active("commit_failed")) {
        disk_.board->report(EventKind::commit_failed, first_sector(staged.block));
    }
    disk_.board->raise(State::read_only, "commit_failed",
                       "an entry could not be committed to " + disk_.spare->info().name +
                           "; unmount, check the spare, and mount again");
}

// An entry write was issued to a page that then failed: the same change on another page.
void Batch::send_elsewhere(Staged& staged) {
    const std::uint64_t failed_slot = staged.slot;
    if (!staged.data) {
        // The marks' block moves whole. What is lost stays so, and is not read.
        staged.data = std::make_unique<BlockData>();
        SectorMask bad = 0;
        const int error = io_.salvage_spare(disk_.slot_offset(failed_slot), staged.data->data(),
                                            disk_.block_length(staged.block), bad);
        if (error != 0 || (bad & ~staged.lost) != 0) {
            fail(staged, EIO);
            return;
        }
        staged.old = OldSlot{.slot = failed_slot, .bad = false, .same = false};
    } else {
        disk_.table->give_back(failed_slot);
    }
    if (const int error = write_new_slot(*staged.data, staged.slot); error != 0) {
        fail(staged, error);
    }
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
        erasures_.push_back(EntryChange{
            .slot = staged.old->slot,
            .state = static_cast<std::uint8_t>(staged.old->bad ? DMR_BAD_SLOT : DMR_FREE)});
        disk_.totals.moves++;
        disk_.board->report(EventKind::moved, sector);
    } else if (staged.data) {
        disk_.totals.remaps++;
        disk_.totals.by_reason[staged.reason]++;
        disk_.board->report(EventKind::remapped, sector, 0, reason_text(staged.reason));
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

void Batch::try_commit(int tried) {
    commit_claims(tried);
    commit_unmaps();
}

void Batch::commit_claims(int tried) {
    std::vector<Staged*> order;
    for (Staged& staged : staged_) {
        if (!staged.settled && !staged.unmap) {
            order.push_back(&staged);
        }
    }
    if (order.empty() && erasures_.empty()) {
        return;
    }
    if (io_.flush_spare() != 0) {
        for (Staged* const staged : order) {
            fail(*staged, EIO);
        }
        return;
    }
    std::vector<EntryChange> changes;
    for (const EntryChange& erasure : erasures_) {
        // On a retired page nothing is written: the claim stays superseded by the newer one.
        if (!disk_.table->retired(erasure.slot)) {
            changes.push_back(erasure);
        }
    }
    erasures_.clear();
    const std::size_t first = changes.size();
    for (const Staged* const staged : order) {
        changes.push_back(
            EntryChange{.slot = staged->slot,
                        .state = DMR_REMAPPED,
                        .main_block = staged->block,
                        .lost = staged->lost,
                        .retry = staged->retry,
                        .reason = staged->reason,
                        .replaces = staged->old ? std::optional(staged->old->slot) : std::nullopt});
    }
    if (changes.empty()) {
        return;
    }
    const bool was_broken = disk_.table->broken();
    const std::vector<CommitOutcome> outcomes = disk_.table->commit(changes);
    if (std::ranges::find(outcomes, CommitOutcome::page_failed) != outcomes.end()) {
        disk_.table->look_further(1ull << tried);
    }
    for (std::size_t i = 0; i < order.size(); i++) {
        order[i]->issued = order[i]->issued || !was_broken;
        switch (outcomes[first + i]) {
            case CommitOutcome::durable:
                publish(*order[i]);
                break;
            case CommitOutcome::page_failed:
                send_elsewhere(*order[i]);
                break;
            case CommitOutcome::unknown:
                fail(*order[i], EIO);
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
        try_commit(tried);
    }
    for (Staged& staged : staged_) {
        if (!staged.settled) {
            fail(staged, EIO);
        }
        results_[staged.block] = staged.result;
    }
}

void Batch::reset() {
    staged_.clear();
    results_.clear();
}

}  // namespace dmremap
