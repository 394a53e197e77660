// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/remap_map.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dmremap {

namespace {

constexpr std::size_t kMarkBytes = 2;
constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kSlotBytesMost = kWord - kMarkBytes;

std::size_t bytes_for(std::uint64_t largest) {
    return (static_cast<std::size_t>(std::bit_width(largest)) + 7) / 8;
}

std::uint64_t all_ones(std::size_t bytes) { return ~std::uint64_t{0} >> (64 - 8 * bytes); }

std::uint64_t word_at(const std::byte* at) {
    std::uint64_t word;
    std::memcpy(&word, at, kWord);
    return dmr_le64(word);
}

}  // namespace

// `slots` itself is no slot's number, so that all ones, which stand for "fenced", are free. With 8
// bytes or more both ends of a remap can be read as a word.
RemapMap::RemapMap(std::uint64_t main_size, std::uint64_t slots)
    : filter_((main_size >> kRegionShift) / 64 + 1),
      block_bytes_(std::max<std::size_t>(bytes_for(main_size / DMR_BLOCK_SIZE), 1)),
      slot_bytes_(std::min(
          std::max(bytes_for(slots), kSlotBytesMost - std::min(block_bytes_, kSlotBytesMost)),
          kSlotBytesMost)),
      bytes_(block_bytes_ + slot_bytes_ + kMarkBytes),
      shards_(kGates) {}

std::uint64_t RemapMap::block_at(const std::byte* at) const {
    return word_at(at) & all_ones(block_bytes_);
}

// Of the last word the marks are the upper 16 bits, and the slot is what lies next below them.
Remap RemapMap::unpack(const std::byte* at) const {
    const std::uint64_t tail = word_at(at + bytes_ - kWord);
    const std::uint64_t mask = all_ones(slot_bytes_);
    const std::uint64_t slot = tail >> 8 * (kSlotBytesMost - slot_bytes_) & mask;
    Remap remap;
    remap.block = block_at(at);
    remap.slot = slot == mask ? Remap::kFenced : slot & Remap::kFenced;
    remap.lost = tail >> 48 & 0xff;
    remap.retry = static_cast<std::uint8_t>(tail >> 56);
    return remap;
}

void RemapMap::pack(const Remap& remap, std::byte* at) const {
    const std::uint64_t block = dmr_to_le64(remap.block), slot = dmr_to_le64(remap.slot);
    std::memcpy(at, &block, block_bytes_);
    std::memcpy(at + block_bytes_, &slot, slot_bytes_);
    at[bytes_ - 2] = static_cast<std::byte>(remap.lost);
    at[bytes_ - 1] = static_cast<std::byte>(remap.retry);
}

FoundRemap RemapMap::found(const Shard& shard, std::size_t index) const {
    FoundRemap found;
    if (index * bytes_ != shard.size()) {
        found.at_ = shard.data() + index * bytes_;
        found.remap_ = unpack(found.at_);
    }
    return found;
}

std::size_t RemapMap::position(const Shard& shard, std::uint64_t block) const {
    std::size_t from = 0, length = shard.size() / bytes_;
    while (length != 0) {
        const std::size_t half = length / 2;
        const bool above = block_at(shard.data() + (from + half) * bytes_) < block;
        from = above ? from + half + 1 : from;
        length = above ? length - half - 1 : half;
    }
    return from;
}

bool RemapMap::holds(const Shard& shard, std::size_t index, std::uint64_t block) const {
    return index * bytes_ != shard.size() && block_at(shard.data() + index * bytes_) == block;
}

FoundRemap RemapMap::lower_bound(std::uint64_t block) const {
    const Shard& shard = shards_[shard_of(block)];
    return found(shard, position(shard, block));
}

FoundRemap RemapMap::next(const FoundRemap& before) const {
    const Shard& shard = shards_[shard_of(before->block)];
    return found(shard, static_cast<std::size_t>(before.at_ - shard.data()) / bytes_ + 1);
}

FoundRemap RemapMap::find(std::uint64_t block) const {
    const FoundRemap found = lower_bound(block);
    return found != nullptr && found->block == block ? found : FoundRemap();
}

// By a sixteenth at least, so that many calls do not cost a copy each.
void RemapMap::make_room(std::uint64_t block, std::size_t more) {
    Shard& shard = shards_[shard_of(block)];
    if (shard.capacity() - shard.size() < more * bytes_) {
        const std::size_t count = shard.size() / bytes_;
        shard.reserve((count + std::max(more, count / 16)) * bytes_);
    }
}

void RemapMap::put(const Remap& remap) {
    Shard& shard = shards_[shard_of(remap.block)];
    const std::size_t index = position(shard, remap.block);
    if (holds(shard, index, remap.block)) {
        pack(remap, shard.data() + index * bytes_);
    } else {
        make_room(remap.block, 1);
        insert(shard, index, remap);
    }
}

// There is room.
void RemapMap::insert(Shard& shard, std::size_t index, const Remap& remap) {
    shard.insert(shard.begin() + static_cast<std::ptrdiff_t>(index * bytes_), bytes_, std::byte{});
    pack(remap, shard.data() + index * bytes_);
    const std::uint64_t region = remap.block * DMR_BLOCK_SIZE >> kRegionShift;
    filter_[region / 64].fetch_or(std::uint64_t{1} << (region % 64), std::memory_order_relaxed);
}

// The filter's bit stays: it says "may", and other blocks of the region may be remapped.
void RemapMap::remove(std::uint64_t block) {
    Shard& shard = shards_[shard_of(block)];
    const std::size_t index = position(shard, block);
    if (holds(shard, index, block)) {
        const auto at = shard.begin() + static_cast<std::ptrdiff_t>(index * bytes_);
        shard.erase(at, at + static_cast<std::ptrdiff_t>(bytes_));
    }
}

void RemapMap::sort() {
    std::vector<Remap> remaps;
    for (Shard& shard : shards_) {
        remaps.clear();
        for (std::size_t at = 0; at < shard.size(); at += bytes_) {
            remaps.push_back(unpack(shard.data() + at));
        }
        std::ranges::sort(remaps, {}, &Remap::block);
        for (std::size_t i = 0; i < remaps.size(); i++) {
            pack(remaps[i], shard.data() + i * bytes_);
        }
    }
}

}  // namespace dmremap
