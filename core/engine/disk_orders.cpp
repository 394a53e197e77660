// SPDX-License-Identifier: GPL-2.0-or-later
// What a disk is told to do besides requests: by people, and for the opener by map_anew(). All of
// it is the healer's or the scanner's work; here it is checked, cut, and waited for.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "core/engine/disk_impl.h"

namespace dmremap {

std::uint64_t DiskImpl::salvage(const std::function<bool()>& cancelled) {
    return disk_->read_only ? 0 : healer_->salvage(cancelled);
}

RangeResult DiskImpl::remap(std::uint64_t sector, std::uint64_t count) {
    return by_hand(HandWork::Kind::remap, sector, count);
}

RangeResult DiskImpl::unmap(std::uint64_t sector, std::uint64_t count, bool force) {
    return by_hand(force ? HandWork::Kind::forced_unmap : HandWork::Kind::unmap, sector, count);
}

void DiskImpl::map_anew(std::uint64_t block) {
    const std::uint64_t sector = block * DMR_SECTORS_PER_BLOCK;
    const RangeResult result =
        by_hand(HandWork::Kind::map_anew, sector, disk_->block_length(block) / DMR_SECTOR_SIZE);
    if (result.error == 0) {
        disk_->board->report(EventKind::recovered, sector, 1, "moved off an older version");
        return;
    }
    disk_->doubt_left = true;
    disk_->board->raise(
        State::degraded, "metadata_in_doubt", disk_->spare->info().name,
        " holds an older version of where the block at sector ", sector,
        " is in a page that it does not take, and the block cannot be moved away (",
        std::strerror(result.error),
        "): were the other copy lost, the older one would count; replace the spare");
}

// A region at a time: its blocks share their flushes, and its gate is all that is closed.
RangeResult DiskImpl::by_hand(HandWork::Kind kind, std::uint64_t sector, std::uint64_t count) {
    HandWork work;
    work.kind = kind;
    const std::uint64_t sectors = disk_->size / DMR_SECTOR_SIZE;
    if (closed_ || disk_->read_only || sector > sectors || count > sectors - sector) {
        work.result.error = closed_ ? ENODEV : disk_->read_only ? EROFS : EINVAL;
        work.result.sector = sector;
        return work.result;
    }
    const std::uint64_t end = (sector + count + DMR_SECTORS_PER_BLOCK - 1) / DMR_SECTORS_PER_BLOCK;
    for (std::uint64_t block = sector / DMR_SECTORS_PER_BLOCK; count != 0 && block < end;) {
        work.first = block;
        work.last = std::min(end, (block / kRegionBlocks + 1) * kRegionBlocks) - 1;
        if (!healer_->by_hand(work)) {
            work.result.error = ENODEV;  // closed meanwhile
            work.result.sector = block * DMR_SECTORS_PER_BLOCK;
            break;
        }
        block = work.last + 1;
    }
    return work.result;
}

int DiskImpl::set_parameter(const ParameterRule& rule, std::uint32_t value) {
    if (value < rule.least || value > rule.most) {
        return EINVAL;
    }
    if (closed_ || disk_->read_only) {
        return closed_ ? ENODEV : EROFS;
    }
    int error = ENODEV;
    healer_->between_rounds([&] {
        error = ENOMEM;
        error = store_parameter(rule, value);
    });
    scanner_->wake();
    return error;
}

int DiskImpl::scan(ScanOrder order, std::uint64_t sector, std::uint64_t count) {
    if (closed_ || disk_->read_only) {
        return closed_ ? ENODEV : EROFS;
    }
    return scanner_->order(order, sector, count);
}

// On the healer's thread, whose superblock it is.
int DiskImpl::store_parameter(const ParameterRule& rule, std::uint32_t value) {
    if (!disk_->writable() || disk_->table->broken()) {
        return EROFS;
    }
    Parameters parameters = disk_->parameters.load();
    if (rule.get(parameters) == value && !parameters_unsaved_) {
        return 0;
    }
    rule.set(parameters, value);
    disk_->parameters.store(parameters);
    disk_->breaker->set_regions(parameters.breaker_regions);
    dmr_superblock sb = disk_->superblocks->current();
    store_parameters(parameters, sb);
    const int error = disk_->superblocks->write(sb);
    parameters_unsaved_ = error != 0;
    return error;
}

}  // namespace dmremap
