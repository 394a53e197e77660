// SPDX-License-Identifier: GPL-2.0-or-later
// Opening a pair. Order:
//   1. look at everything and refuse what is wrong; nothing has been written so far
//   2. write the superblock: in use, not clean, a new entry epoch; its copies are thereby repaired
//   3. repair the entry table (entry_table.h)
//   4. map anew what is in doubt all the same (FORMAT.md); only then is anybody served
// A crash after any write leaves a spare that opens the same way again: 2 only raises the epoch and
// the sequence, 3 is idempotent, 4 makes relocations. Read-only, 2 to 4 are left out.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/disk.h"
#include "core/engine/disk_impl.h"
#include "core/engine/flush_guard.h"
#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/meta/table_load.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

void require_table(const LoadedTable& table, const dmr_superblock& sb, const Device& spare,
                   bool rescue, StateBoard& board) {
    std::vector<std::string> damage = table_damage(table.report);
    if ((dmr_le32(sb.flags) & DMR_CLEAN) != 0 && damage.empty() &&
        dmr_le64(sb.live_remaps) != table.report.remapped) {
        damage.push_back("closed clean with " + std::to_string(dmr_le64(sb.live_remaps)) +
                         " remaps, but the table holds " + std::to_string(table.report.remapped));
    }
    if (damage.empty()) {
        return;
    }
    std::string text = damage.front();
    for (std::size_t i = 1; i < damage.size(); i++) {
        text += "; " + damage[i];
    }
    if (!rescue) {
        throw Refusal(RefusalKind::refused,
                      spare.info().name + ": " + text +
                          "; to copy off what can be had, knowing that some of it may be old: "
                          "-o ro,rescue");
    }
    board.raise(State::degraded, "rescue", text + "; some of what is read here may be old data");
}

// With accept_changed_main the retry marks go (forget_retries), and a mixed page is never written.
void require_forgettable(const LoadedTable& table, const dmr_superblock& sb, const Device& spare) {
    for (std::uint64_t slot = 0; slot < table.entries.size(); slot++) {
        const bool mixed = table.pages[slot / dmr_entries_per_page(&sb)] == PageHealth::mixed;
        if (mixed && table.entries[slot].retry != 0 &&
            !std::binary_search(table.superseded.begin(), table.superseded.end(), slot)) {
            throw Refusal(RefusalKind::refused,
                          spare.info().name +
                              ": a page of its entry table is damaged in both copies, and says of "
                              "lost sectors that the changed main may hold them; to copy off what "
                              "is there: -o ro,accept_changed_main");
        }
    }
}

[[noreturn]] void refuse_write_failure(const Device& spare, const char* what, int error) {
    throw Refusal(RefusalKind::system, spare.info().name + ": " + what + " cannot be written (" +
                                           std::strerror(error) + "); open it with -o ro");
}

// Main's content under the remaps is no longer known to be what was there when they were made: what
// is lost stays lost, and is not read from main again. Only then does the witness go.
void forget_retries(Context& disk) {
    std::vector<EntryChange> changes;
    disk.table->for_each_live([&](std::uint64_t slot, const dmr_entry& entry) {
        if (entry.retry != 0) {
            changes.push_back(EntryChange{.slot = slot,
                                          .state = DMR_REMAPPED,
                                          .main_block = dmr_le64(entry.main_block),
                                          .lost = entry.lost,
                                          .retry = 0,
                                          .reason = entry.reason});
        }
    });
    for (const CommitOutcome outcome : disk.table->commit(changes)) {
        if (outcome != CommitOutcome::durable) {
            const int refused = disk.table->device_error();
            refuse_write_failure(*disk.spare, "the entry table", refused != 0 ? refused : EIO);
        }
    }
    dmr_superblock sb = disk.superblocks->current();
    sb.flags = dmr_to_le32(dmr_le32(sb.flags) & ~(DMR_CLEAN | DMR_WITNESS));
    if (const int error = disk.superblocks->write(sb); error != 0) {
        refuse_write_failure(*disk.spare, "the superblock", error);
    }
}

// One bad copy costs nothing (P4): where a block cannot be mapped anew, for no page is left that
// takes both copies, the disk is up all the same, and says so.
void settle_doubts(DiskImpl& disk, const std::vector<std::uint64_t>& blocks) {
    for (const std::uint64_t block : blocks) {
        disk.map_anew(block);
    }
}

void fill_map(Context& disk) {
    disk.map->fill([&](auto&& take) {
        disk.table->for_each_live([&](std::uint64_t slot, const dmr_entry& entry) {
            Remap remap;
            remap.block = dmr_le64(entry.main_block);
            remap.slot = slot & Remap::kFenced;
            remap.lost = entry.lost;
            remap.retry = entry.retry;
            take(remap);
        });
    });
}

}  // namespace

std::unique_ptr<Disk> Disk::open(std::unique_ptr<Device> main, std::unique_ptr<Device> spare,
                                 const OpenOptions& options) {
    auto disk = std::make_unique<Context>();
    const auto guarded = [self = disk.get()](std::unique_ptr<Device> device) {
        return make_flush_guard(std::move(device), [self](const DeviceInfo& info, int error) {
            self->note_flush_failure(info, error);
        });
    };
    disk->main = guarded(std::move(main));
    disk->spare = guarded(std::move(spare));
    disk->read_only = options.read_only;
    disk->size = disk->main->info().size;
    disk->logical_block = disk->main->info().logical_block;
    disk->board = std::make_unique<StateBoard>(options.on_event);
    disk->counters = std::make_unique<Counters>();
    Device& spare_device = *disk->spare;
    if (options.rescue && !options.read_only) {
        throw Refusal(RefusalKind::usage, "rescue needs ro: -o ro,rescue");
    }

    const SuperblockScan scan = scan_superblocks(spare_device);
    dmr_superblock sb = require_superblock(scan, spare_device, disk->main.get());
    if (!options.overwritten.empty() && !options.rescue) {
        throw Refusal(RefusalKind::refused, options.overwritten);
    }
    require_geometry(sb, *disk->main, spare_device, !options.read_only);
    require_identity(sb, *disk->main, spare_device, options.accept_changed_main);
    const bool crashed =
        require_not_in_use(sb, spare_device, options.take_over, "mount it with -o take_over");
    LoadedTable loaded = load_table(spare_device, sb);
    require_table(loaded, sb, spare_device, options.rescue, *disk->board);
    if (!options.read_only) {
        require_sequences(sb, loaded.highest_sequence, spare_device);
    }
    if (!options.read_only && options.accept_changed_main) {
        require_forgettable(loaded, sb, spare_device);
    }
    if (!options.overwritten.empty()) {
        disk->board->raise(State::degraded, "spare_overwritten", options.overwritten);
    }
    disk->geometry = sb;
    disk->parameters.store(load_parameters(sb));
    disk->superblocks = std::make_unique<SuperblockStore>(spare_device, scan);

    std::string how = crashed ? "recovered" : "clean";
    std::vector<std::uint64_t> doubts;
    if (options.read_only) {
        how = "read-only";
        disk->board->raise(State::read_only, "opened_read_only", "opened with ro");
        disk->table =
            std::make_unique<EntryTable>(spare_device, *disk->superblocks, std::move(loaded));
    } else {
        const std::uint32_t as_closed = dmr_le32(sb.flags);
        set_in_use(sb, options.holder);
        if (options.accept_changed_main) {
            // Until the retry marks are gone the witness stays, so that a crash does not hide from
            // the next opener that main was changed.
            sb.flags = dmr_to_le32(as_closed | DMR_IN_USE);
        }
        sb.entry_epoch = dmr_to_le64(dmr_next_epoch(&sb, loaded.highest_sequence));
        SuperblockStore& store = *disk->superblocks;
        if (const int error = store.write(sb, store.opening_skip()); error != 0) {
            refuse_write_failure(spare_device, "the superblock", error);
        }
        disk->table =
            std::make_unique<EntryTable>(spare_device, *disk->superblocks, std::move(loaded));
        std::uint64_t pages = 0, claims = 0;
        if (const int error = disk->table->repair(pages, claims); error != 0) {
            refuse_write_failure(spare_device, "the entry table", error);
        }
        if (pages + claims != 0) {
            disk->board->report(EventKind::recovered, 0, pages,
                                std::to_string(pages) + " pages restored to two copies, " +
                                    std::to_string(claims) + " superseded claims erased");
        }
        if (options.accept_changed_main) {
            forget_retries(*disk);
        }
        if (const int error = disk->table->find_doubts(doubts); error != 0) {
            throw Refusal(RefusalKind::system, spare_device.info().name +
                                                   ": a page of its entry table cannot be read: " +
                                                   std::strerror(error));
        }
    }
    disk->map = std::make_unique<RemapMap>(disk->size, dmr_le64(sb.slots));
    fill_map(*disk);
    disk->breaker = std::make_unique<Breaker>(*disk->main, *disk->map, *disk->counters,
                                              *disk->board, disk->parameters.breaker_regions);
    if (!options.read_only) {
        disk->breaker->learn();
    }
    disk->board->report(EventKind::opened, 0, 0, how);
    auto opened = std::make_unique<DiskImpl>(std::move(disk), options);
    settle_doubts(*opened, doubts);
    return opened;
}

}  // namespace dmremap
