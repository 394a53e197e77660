// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/packed_entries.h"

#include "core/room.h"

namespace dmremap {

PackedEntries::PackedEntries(const std::vector<dmr_entry>& entries)
    : size_(entries.size()), chunks_(chunks_for(entries.size())) {
    for (std::uint64_t slot = 0; slot < size_; slot++) {
        const dmr_entry& entry = entries[slot];
        const bool used = entry.sequence != 0 || entry.time != 0 || entry.state != DMR_FREE;
        if (used) {
            set(slot, entry);
        }
    }
}

dmr_entry PackedEntries::operator[](std::uint64_t slot) const {
    const Chunk* const chunk = chunks_[slot / kChunk].get();
    const Packed packed = chunk != nullptr ? (*chunk)[slot % kChunk] : Packed{};
    std::uint64_t time = std::uint64_t{packed.time_high} << 32 | packed.time_low;
    if (time == kOtherTime) {
        time = other_times_.at(slot);
    }
    dmr_entry entry{};
    entry.main_block = dmr_to_le64(packed.state == DMR_REMAPPED ? packed.block : DMR_NO_BLOCK);
    entry.sequence = dmr_to_le64(packed.sequence);
    entry.time = dmr_to_le64(time);
    entry.state = packed.state;
    entry.lost = packed.lost;
    entry.retry = packed.retry;
    entry.reason = packed.reason;
    return entry;
}

void PackedEntries::set(std::uint64_t slot, const dmr_entry& entry) {
    make_room(slot);
    std::uint64_t time = dmr_le64(entry.time);
    if (time > kLatestTime) {
        other_times_[slot] = time;
        time = kOtherTime;
    } else {
        other_times_.erase(slot);
    }
    Packed packed;
    packed.sequence = dmr_le64(entry.sequence) & (DMR_SEQUENCE_LIMIT - 1);
    packed.time_high = time >> 32 & 1;
    packed.time_low = static_cast<std::uint32_t>(time);
    packed.block = entry.state == DMR_REMAPPED ? dmr_le64(entry.main_block) & kBlockMask : 0;
    packed.state = entry.state & 3;
    packed.reason = entry.reason & 7;
    packed.lost = entry.lost;
    packed.retry = entry.retry;
    (*chunks_[slot / kChunk])[slot % kChunk] = packed;
}

void PackedEntries::make_room(std::uint64_t slot) {
    std::unique_ptr<Chunk>& chunk = chunks_[slot / kChunk];
    if (!chunk) {
        chunk = std::make_unique<Chunk>();
    }
}

void PackedEntries::grow(std::uint64_t more) {
    size_ += more;
    chunks_.resize(chunks_for(size_));
}

void PackedEntries::room_to_grow(std::uint64_t more) {
    dmremap::make_room(chunks_, chunks_for(size_ + more) - chunks_.size());
}

}  // namespace dmremap
