// SPDX-License-Identifier: GPL-2.0-or-later
// What a disk tells about itself: numbers, state, and the list of remaps.
#include <algorithm>

#include "core/engine/disk_impl.h"
#include "core/meta/opening_checks.h"
#include "core/meta/uuid.h"

namespace dmremap {

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
    status.totals = disk_->counters->totals();
    status.totals.remaps = disk_->totals.remaps;
    status.totals.moves = disk_->totals.moves;
    status.totals.unmaps = disk_->totals.unmaps;
    status.totals.sectors_lost = disk_->totals.sectors_lost;
    status.totals.sectors_salvaged = disk_->totals.sectors_salvaged;
    for (std::size_t i = 0; i < status.totals.remaps_by_reason.size(); i++) {
        status.totals.remaps_by_reason[i] = disk_->totals.by_reason[i];
    }
    status.totals.commits = disk_->table->commits();
    const TableCounts counts = disk_->table->counts();
    status.active_mappings = status.slots_used = counts.used;
    status.lost_sectors = counts.lost_sectors;
    status.retry_sectors = counts.retry_sectors;
    status.slots = counts.slots;
    status.slots_bad = counts.bad + counts.unusable;
    status.retired_pages = counts.retired_pages;
    status.uptime_ns = now_ns() - opened_ns_;
    return status;
}

void DiskImpl::list_remaps(const std::function<void(const RemapInfo&)>& each) const {
    std::vector<LiveRemap> remaps = disk_->table->live_remaps();
    std::sort(remaps.begin(), remaps.end(),
              [](const LiveRemap& a, const LiveRemap& b) { return a.block < b.block; });
    for (const LiveRemap& remap : remaps) {
        each(RemapInfo{remap.block * DMR_SECTORS_PER_BLOCK, remap.slot,
                       dmr_slot_offset(&disk_->geometry, remap.slot) / DMR_SECTOR_SIZE, remap.time,
                       remap.lost, remap.retry, remap.reason});
    }
}

}  // namespace dmremap
