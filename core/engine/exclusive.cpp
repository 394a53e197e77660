// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/exclusive.h"

#include <algorithm>
#include <cstring>

#include "core/device/error_class.h"

namespace dmremap {

int Exclusive::run(Piece& piece, std::vector<std::uint64_t>& staged) {
    if (piece.op != Op::read && !disk_.writable()) {
        return EROFS;
    }
    int error = 0;
    for (std::uint64_t at = piece.offset; at < piece.offset + piece.length;) {
        Part part{};
        part.block = at / DMR_BLOCK_SIZE;
        part.length = disk_.block_length(part.block);
        part.begin = at % DMR_BLOCK_SIZE;
        part.end =
            std::min<std::uint64_t>(part.length, part.begin + piece.offset + piece.length - at);
        part.data = piece.data == nullptr ? nullptr : piece.data + (at - piece.offset);
        const int failed = piece.op == Op::read ? read_part(part) : write_part(part, staged);
        // Every block is tried, so that one bad block does not keep its neighbours unhealed.
        error = error != 0 ? error : failed;
        at += part.end - part.begin;
    }
    return error;
}

int Exclusive::read_part(const Part& part) {
    const FoundRemap remap = disk_.map->find(part.block);
    return remap != nullptr ? read_slot_part(part, *remap) : read_main_part(part);
}

int Exclusive::read_main_part(const Part& part) {
    BlockData data;
    const std::uint64_t start = part.block * DMR_BLOCK_SIZE;
    const std::uint64_t from = floor_to_grain(part.begin);
    const std::uint64_t to = ceil_to_grain(part.end);
    int error = io_.read_main(start + from, data.data() + from, to - from);
    if (error == 0) {
        std::memcpy(part.data, data.data() + part.begin, part.end - part.begin);
        return 0;
    }
    if (classify(error) != ErrorClass::medium) {
        return error;
    }
    data.fill(std::byte{0});
    SectorMask bad = 0;
    error = io_.salvage_main(start, data.data(), part.length, bad);
    if (error != 0) {
        return error;
    }
    if (bad != 0 && disk_.writable() && disk_.parameters.remap_on_read_error &&
        disk_.breaker->allows(Op::read, start)) {
        // A relocation that cannot be staged changes nothing for this reader.
        batch_.relocate(part.block, data, bad, bad, DMR_REASON_READ, std::nullopt);
    }
    if ((bad & sectors_touched(part.begin, part.end)) != 0) {
        return EIO;
    }
    std::memcpy(part.data, data.data() + part.begin, part.end - part.begin);
    return 0;
}

int Exclusive::read_slot_part(const Part& part, const Remap& remap) {
    const SectorMask wanted = sectors_touched(part.begin, part.end);
    if (remap.fenced() || (remap.lost & wanted) != 0) {
        return EIO;
    }
    BlockData data;
    const std::uint64_t from = floor_to_grain(part.begin);
    const std::uint64_t to = ceil_to_grain(part.end);
    SectorMask bad = 0;
    const int error =
        io_.salvage_spare(disk_.slot_offset(remap.slot) + from, data.data() + from, to - from, bad);
    if (error != 0) {
        return error;
    }
    if (bad != 0) {
        // The block keeps its slot: the error may pass (P5).
        disk_.board->report(EventKind::slot_unreadable, part.block * DMR_SECTORS_PER_BLOCK);
        return EIO;
    }
    std::memcpy(part.data, data.data() + part.begin, part.end - part.begin);
    return 0;
}

int Exclusive::write_part(const Part& part, std::vector<std::uint64_t>& staged) {
    const FoundRemap remap = disk_.map->find(part.block);
    return remap != nullptr ? write_slot_part(part, *remap, staged) : write_main_part(part, staged);
}

namespace {

void merge(BlockData& content, const std::byte* data, std::uint64_t begin, std::uint64_t end) {
    if (data != nullptr) {
        std::memcpy(content.data() + begin, data, end - begin);
    } else {
        std::memset(content.data() + begin, 0, end - begin);
    }
}

}  // namespace

int Exclusive::write_main_part(const Part& part, std::vector<std::uint64_t>& staged) {
    BlockData content{};
    const std::uint64_t start = part.block * DMR_BLOCK_SIZE;
    const std::uint64_t from = floor_to_grain(part.begin);
    const std::uint64_t to = ceil_to_grain(part.end);
    if (from != part.begin || to != part.end) {
        // The edges' old bytes. Where they cannot be read, half a logical block cannot be written.
        SectorMask bad = 0;
        const int error = io_.salvage_main(start + from, content.data() + from, to - from, bad);
        if (error != 0) {
            return error;
        }
        const SectorMask edges = static_cast<SectorMask>(
            sectors_touched(from, to) &
            ~sectors_touched(ceil_to_grain(part.begin), floor_to_grain(part.end)));
        if ((bad << (from / DMR_SECTOR_SIZE) & edges) != 0) {
            return EIO;
        }
    }
    merge(content, part.data, part.begin, part.end);
    int error = io_.write_main(start + from, content.data() + from, to - from);
    if (classify(error) != ErrorClass::medium) {
        return error;
    }
    bool failed = false;  // again by logical block: perhaps no single one is bad
    for (std::uint64_t at = from; at < to; at += disk_.logical_block) {
        error = io_.write_main(start + at, content.data() + at, disk_.logical_block);
        if (classify(error) == ErrorClass::medium) {
            failed = true;
        } else if (error != 0) {
            return error;
        }
    }
    if (!failed) {
        return 0;
    }
    if (!disk_.breaker->allows(Op::write, start)) {
        return EIO;
    }
    const SectorMask covered = sectors_touched(from, to);
    SectorMask lost = 0;
    if (to - from < part.length) {
        BlockData old{};
        SectorMask bad = 0;
        error = io_.salvage_main(start, old.data(), part.length, bad);
        if (error != 0) {
            return error;
        }
        std::memcpy(old.data() + from, content.data() + from, to - from);
        content = old;
        lost = static_cast<SectorMask>(bad & ~covered);
    }
    error = batch_.relocate(part.block, content, lost, lost, DMR_REASON_WRITE, std::nullopt);
    if (error == 0) {
        staged.push_back(part.block);
    }
    return error;
}

int Exclusive::write_slot_part(const Part& part, const Remap& remap,
                               std::vector<std::uint64_t>& staged) {
    const std::uint64_t from = floor_to_grain(part.begin);
    const std::uint64_t to = ceil_to_grain(part.end);
    const SectorMask touched = sectors_touched(from, to);
    const SectorMask whole = sectors_touched(ceil_to_grain(part.begin), floor_to_grain(part.end));
    if (remap.fenced() || (remap.lost & touched & ~whole) != 0) {
        return EIO;
    }
    BlockData content{};
    const std::uint64_t slot = disk_.slot_offset(remap.slot);
    if (from != part.begin || to != part.end) {
        SectorMask bad = 0;
        const int error = io_.salvage_spare(slot + from, content.data() + from, to - from, bad);
        if (error != 0) {
            return error;
        }
        if ((bad << (from / DMR_SECTOR_SIZE) & touched & ~whole) != 0) {
            return EIO;
        }
    }
    merge(content, part.data, part.begin, part.end);
    const auto lost = static_cast<SectorMask>(remap.lost & ~whole);
    int error = io_.write_spare(slot + from, content.data() + from, to - from);
    if (classify(error) == ErrorClass::medium) {
        error = io_.write_spare(slot + from, content.data() + from, to - from);
    }
    const bool slot_is_bad = classify(error) == ErrorClass::medium;
    if (error != 0 && !slot_is_bad) {
        return error;
    }
    if (!slot_is_bad && lost == remap.lost) {
        return 0;  // no mark goes: the data alone is the change
    }
    if (slot_is_bad || disk_.table->retired(remap.slot)) {
        error = move_written(remap, content, from, to, lost, slot_is_bad);
        if (error != 0) {
            return error;
        }
    } else {
        batch_.change_marks(remap, lost, static_cast<SectorMask>(remap.retry & lost), false);
    }
    staged.push_back(part.block);
    return 0;
}

// The slot will not take the write, or its entry not the change: the block goes to a new slot with
// [begin, end) of `content` and the rest from the old slot. If that rest cannot be read the block
// keeps its slot, for what cannot be read now may be readable later (P5).
int Exclusive::move_written(const Remap& remap, BlockData& content, std::uint64_t begin,
                            std::uint64_t end, SectorMask lost, bool slot_is_bad) {
    const std::uint64_t length = disk_.block_length(remap.block);
    if (end - begin < length) {
        BlockData old{};
        SectorMask bad = 0;
        const int error = io_.salvage_spare(disk_.slot_offset(remap.slot), old.data(), length, bad);
        if (error != 0) {
            return error;
        }
        if ((bad & ~(sectors_touched(begin, end) | lost)) != 0) {
            disk_.board->report(EventKind::slot_unreadable, remap.block * DMR_SECTORS_PER_BLOCK);
            return EIO;
        }
        std::memcpy(old.data() + begin, content.data() + begin, end - begin);
        content = old;
    }
    return batch_.relocate(remap.block, content, lost, static_cast<SectorMask>(remap.retry & lost),
                           disk_.table->entry(remap.slot).reason,
                           OldSlot{.slot = remap.slot, .bad = slot_is_bad, .same = begin == end});
}

// Whether writing these sectors where they are puts good ones under the pen: those that share a
// physical block of the spare with them.
bool Exclusive::near_good_ones(SectorMask sectors, SectorMask lost) const {
    const std::uint64_t unit =
        std::min<std::uint64_t>(disk_.spare->info().physical_block, DMR_BLOCK_SIZE);
    for (std::uint64_t at = 0; at < DMR_BLOCK_SIZE; at += unit) {
        const SectorMask here = sectors_touched(at, at + unit);
        if ((sectors & here) != 0 && (here & ~lost) != 0) {
            return true;
        }
    }
    return false;
}

// Sectors of a remapped block that came back from main, in `content`; to a new slot.
void Exclusive::move_salvaged(const Remap& remap, const BlockData& content, SectorMask salvaged) {
    BlockData whole{};
    SectorMask bad = 0;
    if (io_.salvage_spare(disk_.slot_offset(remap.slot), whole.data(),
                          disk_.block_length(remap.block), bad) != 0 ||
        (bad & ~remap.lost) != 0) {
        return;
    }
    for (std::uint64_t at = 0; at < DMR_BLOCK_SIZE; at += DMR_SECTOR_SIZE) {
        if ((sectors_touched(at, at + 1) & salvaged) != 0) {
            std::memcpy(whole.data() + at, content.data() + at, DMR_SECTOR_SIZE);
        }
    }
    const auto lost = static_cast<SectorMask>(remap.lost & ~salvaged);
    batch_.relocate(remap.block, whole, lost, static_cast<SectorMask>(remap.retry & lost),
                    disk_.table->entry(remap.slot).reason,
                    OldSlot{.slot = remap.slot, .bad = false, .same = true}, salvaged);
}

void Exclusive::retry_lost(std::uint64_t block) {
    const FoundRemap found = disk_.map->find(block);
    if (found == nullptr || found->fenced() || found->retry == 0 || !disk_.writable()) {
        return;
    }
    const Remap remap = *found;
    const std::uint64_t grain = disk_.logical_block;
    BlockData content{};
    SectorMask salvaged = 0;
    for (std::uint64_t at = 0; at < disk_.block_length(block); at += grain) {
        const SectorMask here = sectors_touched(at, at + grain);
        SectorMask bad = 0;
        if ((remap.retry & here) == here &&
            io_.salvage_main(block * DMR_BLOCK_SIZE + at, content.data() + at, grain, bad) == 0 &&
            bad == 0) {
            salvaged = static_cast<SectorMask>(salvaged | here);
        }
    }
    if (salvaged == 0) {
        return;
    }
    const auto all_lost = static_cast<SectorMask>(remap.lost);
    bool moves = near_good_ones(salvaged, all_lost) || disk_.table->retired(remap.slot);
    for (std::uint64_t at = 0; at < DMR_BLOCK_SIZE && !moves; at += grain) {
        if ((salvaged & sectors_touched(at, at + grain)) != 0) {
            moves = io_.write_spare(disk_.slot_offset(remap.slot) + at, content.data() + at,
                                    grain) != 0;
        }
    }
    if (moves) {
        move_salvaged(remap, content, salvaged);
        return;
    }
    const auto lost = static_cast<SectorMask>(all_lost & ~salvaged);
    batch_.change_marks(remap, lost, static_cast<SectorMask>(remap.retry & lost), true);
}

bool Exclusive::move_away(std::uint64_t slot) {
    if (!disk_.table->live(slot) || !disk_.writable()) {
        return true;
    }
    const std::uint64_t block = dmr_le64(disk_.table->entry(slot).main_block);
    const FoundRemap found = disk_.map->find(block);
    if (found == nullptr || found->slot != slot) {
        return true;
    }
    return move_whole(*found) == 0;
}

int Exclusive::move_whole(const Remap& found) {
    const Remap remap = found;  // a commit on the way may change the mapping
    BlockData content{};
    return move_written(remap, content, 0, 0, static_cast<SectorMask>(remap.lost), false);
}

int Exclusive::map_anew(std::uint64_t block) {
    const FoundRemap found = disk_.map->find(block);
    if (found == nullptr || found->fenced()) {
        return remap_by_hand(block);
    }
    const std::uint64_t epoch = dmr_le64(disk_.table->entry(found->slot).sequence) >> 32;
    if (!disk_.table->retired(found->slot) &&
        epoch == dmr_le64(disk_.superblocks->current().entry_epoch)) {
        return EALREADY;
    }
    return move_whole(*found);
}

int Exclusive::remap_by_hand(std::uint64_t block) {
    if (const FoundRemap remap = disk_.map->find(block); remap != nullptr) {
        return remap->fenced() ? EIO : EALREADY;
    }
    if (!disk_.writable()) {
        return EROFS;
    }
    const std::uint64_t start = block * DMR_BLOCK_SIZE;
    BlockData data{};
    SectorMask bad = 0;
    if (const int error = io_.salvage_main(start, data.data(), disk_.block_length(block), bad);
        error != 0) {
        return error;
    }
    if (bad != 0 && !disk_.breaker->allows(Op::read, start)) {
        return EIO;
    }
    return batch_.relocate(block, data, bad, bad, DMR_REASON_MANUAL, std::nullopt);
}

int Exclusive::check(std::uint64_t block, bool failed, Finding& finding) {
    finding = Finding::fine;
    const FoundRemap remap = disk_.map->find(block);
    return remap != nullptr ? check_slot(*remap, finding)
                            : check_main(block, failed, false, finding);
}

int Exclusive::move_slow(std::uint64_t block, Finding& finding) {
    finding = Finding::fine;
    return disk_.map->find(block) != nullptr ? EALREADY : check_main(block, false, true, finding);
}

int Exclusive::check_main(std::uint64_t block, bool failed, bool slow, Finding& finding) {
    const std::uint64_t start = block * DMR_BLOCK_SIZE;
    const std::uint64_t length = disk_.block_length(block);
    BlockData data{};
    SectorMask bad = 0;
    int error = io_.read_main(start, data.data(), length);
    bool weak = failed || slow;
    if (classify(error) == ErrorClass::medium) {
        weak = true;
        data.fill(std::byte{0});
        error = io_.salvage_main(start, data.data(), length, bad);
    }
    if (error != 0) {
        return error;
    }
    finding = bad != 0 ? Finding::bad : weak ? Finding::weak : Finding::fine;
    const bool wanted = bad != 0 ? disk_.parameters.remap_on_read_error.load()
                                 : weak && disk_.parameters.relocate_weak.load();
    if (!wanted) {
        return EALREADY;
    }
    if (!disk_.writable()) {
        return EROFS;
    }
    if (bad != 0 ? !disk_.breaker->allows(Op::read, start) : disk_.breaker->tripped()) {
        return EIO;
    }
    return batch_.relocate(block, data, bad, bad, bad != 0 ? DMR_REASON_SCAN : DMR_REASON_SLOW,
                           std::nullopt);
}

// A slot that cannot be read keeps its block (P5).
int Exclusive::check_slot(const Remap& remap, Finding& finding) {
    if (remap.fenced()) {
        return EALREADY;
    }
    BlockData data;
    SectorMask bad = 0;
    const int error = io_.salvage_spare(disk_.slot_offset(remap.slot), data.data(),
                                        disk_.block_length(remap.block), bad);
    if (error != 0) {
        return error;
    }
    const std::uint64_t block = remap.block;
    if ((bad & ~remap.lost) != 0) {
        finding = Finding::bad;
        disk_.board->report(EventKind::slot_unreadable, block * DMR_SECTORS_PER_BLOCK);
    }
    const bool retries = remap.retry != 0;
    if (retries) {
        retry_lost(block);
    }
    return retries ? 0 : EALREADY;
}

// To main, all but what is lost: of that main may hold the only copy.
int Exclusive::write_back(const Remap& remap, const BlockData& data) {
    const std::uint64_t start = remap.block * DMR_BLOCK_SIZE;
    const std::uint64_t length = disk_.block_length(remap.block);
    if (remap.lost == 0) {
        return io_.write_main(start, data.data(), length);
    }
    const std::uint64_t grain = disk_.logical_block;
    for (std::uint64_t at = 0; at < length; at += grain) {
        const SectorMask here = sectors_touched(at, at + grain);
        if ((remap.lost & here) == here) {
            continue;
        }
        if ((remap.lost & here) != 0) {
            return ENODATA;  // half a logical block cannot be written
        }
        if (const int error = io_.write_main(start + at, data.data() + at, grain); error != 0) {
            return error;
        }
    }
    return 0;
}

int Exclusive::unmap_by_hand(std::uint64_t block, bool force) {
    const FoundRemap remap = disk_.map->find(block);
    if (remap == nullptr) {
        return EALREADY;
    }
    if (remap->fenced()) {
        return EIO;
    }
    if (!disk_.writable()) {
        return EROFS;
    }
    // What was lost later than the block left main is old on main: it must never be read there.
    if (remap->lost != 0 && (!force || remap->retry != remap->lost)) {
        return ENODATA;
    }
    // Before main is written for nothing. A page that is only owed a copy can have it now.
    EntryTable& table = *disk_.table;
    if (table.retired(remap->slot) && table.owes()) {
        const int unpaid = table.pay_back();
        io_.judge_spare(Op::write, unpaid);
        if (unpaid != 0) {
            return table.broken() ? EROFS : unpaid;
        }
    }
    if (table.retired(remap->slot)) {
        return EAGAIN;
    }
    BlockData data{};
    SectorMask bad = 0;
    int error = io_.salvage_spare(disk_.slot_offset(remap->slot), data.data(),
                                  disk_.block_length(block), bad);
    bad = static_cast<SectorMask>(bad & ~remap->lost);
    if (error != 0 || bad != 0) {
        return error != 0 ? error : EIO;
    }
    error = write_back(*remap, data);
    if (error != 0) {
        return error;
    }
    batch_.unmap(*remap, data);
    return 0;
}

}  // namespace dmremap
