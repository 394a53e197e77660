// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/remap_map.h"

#include <algorithm>

#include "core/room.h"

namespace dmremap {

namespace {

auto position(auto& shard, std::uint64_t block) {
    return std::lower_bound(shard.begin(), shard.end(), block,
                            [](const Remap& remap, std::uint64_t b) { return remap.block < b; });
}

}  // namespace

const Remap* RemapMap::lower_bound(std::uint64_t block) const {
    const std::vector<Remap>& shard = shards_[shard_of(block)];
    const auto at = position(shard, block);
    return at == shard.end() ? nullptr : &*at;
}

const Remap* RemapMap::next(const Remap* remap) const {
    const std::vector<Remap>& shard = shards_[shard_of(remap->block)];
    return remap == &shard.back() ? nullptr : remap + 1;
}

const Remap* RemapMap::find(std::uint64_t block) const {
    const Remap* const remap = lower_bound(block);
    return remap != nullptr && remap->block == block ? remap : nullptr;
}

void RemapMap::make_room(std::uint64_t block, std::size_t more) {
    dmremap::make_room(shards_[shard_of(block)], more);
}

void RemapMap::put(const Remap& remap) {
    std::vector<Remap>& shard = shards_[shard_of(remap.block)];
    const auto at = position(shard, remap.block);
    if (at != shard.end() && at->block == remap.block) {
        *at = remap;
    } else {
        shard.insert(at, remap);
    }
    const std::uint64_t region = remap.block * DMR_BLOCK_SIZE >> kRegionShift;
    filter_[region / 64].fetch_or(std::uint64_t{1} << (region % 64), std::memory_order_relaxed);
}

// The filter's bit stays: it says "may", and other blocks of the region may be remapped.
void RemapMap::remove(std::uint64_t block) {
    std::vector<Remap>& shard = shards_[shard_of(block)];
    const auto at = position(shard, block);
    if (at != shard.end() && at->block == block) {
        shard.erase(at);
    }
}

}  // namespace dmremap
