// SPDX-License-Identifier: GPL-2.0-or-later
// What a disk tells about itself: numbers, state, and the list of remaps.
#include <algorithm>
#include <iterator>

#include "core/engine/disk_impl.h"
#include "core/meta/opening_checks.h"
#include "core/meta/uuid.h"

namespace dmremap {

Totals DiskImpl::totals_since_open() const {
    Totals totals = disk_->counters->totals();
    totals.remaps = disk_->totals.remaps;
    totals.moves = disk_->totals.moves;
    totals.unmaps = disk_->totals.unmaps;
    totals.sectors_lost = disk_->totals.sectors_lost;
    totals.sectors_salvaged = disk_->totals.sectors_salvaged;
    for (std::size_t i = 0; i < totals.remaps_by_reason.size(); i++) {
        totals.remaps_by_reason[i] = disk_->totals.by_reason[i];
    }
    totals.commits = disk_->table->commits();
    return totals;
}

// Each counter has its own writers, who never look back: the counters go on, and what they stood at
// is taken off when they are read.
void DiskImpl::clear_stats() {
    const std::lock_guard lock(cleared_mutex_);
    cleared_ = totals_since_open();
}

DiskStatus DiskImpl::status() const {
    DiskStatus status;
    const dmr_superblock& sb = disk_->geometry;
    status.main = disk_->main->info().name;
    status.spare = disk_->spare->info().name;
    status.uuid = uuid_text(sb.uuid);
    status.label = field_text(sb.label, sizeof(sb.label));
    status.size = disk_->size;
    status.read_only = disk_->read_only;
    status.state = disk_->board->state();
    status.causes = disk_->board->causes();
    {
        const std::lock_guard lock(cleared_mutex_);
        status.totals = since(totals_since_open(), cleared_);
    }
    const TableCounts counts = disk_->table->counts();
    status.active_mappings = status.slots_used = counts.used;
    status.lost_sectors = counts.lost_sectors;
    status.retry_sectors = counts.retry_sectors;
    status.slots = counts.slots;
    status.slots_bad = counts.bad + counts.unusable;
    status.retired_pages = counts.retired_pages;
    auto days = scanner_ ? scanner_->days() : load_scan_record(sb).days;
    if (scanner_) {
        status.scan = scanner_->progress();
        status.scan.weak = weak_blocks().size();
    } else {
        status.scan = progress_of(load_scan_record(sb), disk_->size);
        if (status.scan.state == ScanState::running) {
            status.scan.state = ScanState::paused;  // until somebody may write
        }
    }
    std::copy_if(days.begin(), days.end(), std::back_inserter(status.days),
                 [](const DaySample& sample) { return sample.day != 0; });
    status.uptime_ns = now_ns() - opened_ns_;
    return status;
}

RemapInfo DiskImpl::describe(const LiveRemap& remap) const {
    return RemapInfo{remap.block * DMR_SECTORS_PER_BLOCK,
                     remap.slot,
                     dmr_slot_offset(&disk_->geometry, remap.slot) / DMR_SECTOR_SIZE,
                     remap.time,
                     remap.lost,
                     remap.retry,
                     remap.reason};
}

void DiskImpl::list_remaps(const std::function<void(const RemapInfo&)>& each) const {
    std::vector<LiveRemap> remaps = disk_->table->live_remaps();
    std::sort(remaps.begin(), remaps.end(),
              [](const LiveRemap& a, const LiveRemap& b) { return a.block < b.block; });
    for (const LiveRemap& remap : remaps) {
        each(describe(remap));
    }
}

std::optional<RemapInfo> DiskImpl::find_remap(std::uint64_t sector) const {
    const std::optional<LiveRemap> found = disk_->table->find_live(sector / DMR_SECTORS_PER_BLOCK);
    return found ? std::optional(describe(*found)) : std::nullopt;
}

std::vector<WeakBlock> DiskImpl::weak_blocks() const {
    if (!scanner_) {
        return {};
    }
    // Those that have moved meanwhile, by whomever, are main's no longer.
    std::vector<WeakBlock> weak = scanner_->weak_blocks();
    if (weak.empty()) {
        return weak;  // nothing to look for in the table
    }
    std::vector<bool> moved(weak.size());
    disk_->table->for_each_live([&](std::uint64_t, const dmr_entry& entry) {
        const std::uint64_t sector = dmr_le64(entry.main_block) * DMR_SECTORS_PER_BLOCK;
        const auto at = std::lower_bound(
            weak.begin(), weak.end(), sector,
            [](const WeakBlock& block, std::uint64_t s) { return block.sector < s; });
        if (at != weak.end() && at->sector == sector) {
            moved[static_cast<std::size_t>(at - weak.begin())] = true;
        }
    });
    std::size_t i = 0;
    std::erase_if(weak, [&](const WeakBlock&) { return moved[i++]; });
    return weak;
}

}  // namespace dmremap
