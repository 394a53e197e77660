// SPDX-License-Identifier: GPL-2.0-or-later
// The mapping in memory: filter and remaps.
//
// The filter has one bit a region: clear means that the region holds no remap, and the I/O goes
// straight to main. Behind it each gate owns the remaps of its regions, sorted by block. The gate
// is the lock: who is inside may read its remaps, who has closed it (and seen it empty) may change
// them. So a lookup takes no lock and a change disturbs only its own gate.
//
// A remap takes no more bytes than block and slot numbers of this pair need, and two for its marks:
// 10 for devices up to 16 TiB. It is all that a request needs to know, so that no request ever
// looks at the table of entries, which changes before what it says is published here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/engine/gates.h"
#include "core/format.h"

namespace dmremap {

// Where a main block lives.
struct Remap {
    std::uint64_t block = 0;
    std::uint64_t slot : 48 = 0;  // kFenced: nobody knows until reopen; every I/O to it is EIO
    std::uint64_t lost : 8 = 0;
    std::uint64_t retry : 8 = 0;

    static constexpr std::uint64_t kFenced = (std::uint64_t{1} << 48) - 1;
    bool fenced() const { return slot == kFenced; }
};

// What a lookup found: a remap, as by a pointer, or null. The remap is a copy and stays as it was;
// to step on from it is for who is inside its gate still.
class FoundRemap {
public:
    const Remap& operator*() const { return remap_; }
    const Remap* operator->() const { return &remap_; }
    bool operator==(std::nullptr_t) const { return at_ == nullptr; }

private:
    friend class RemapMap;
    Remap remap_;
    const std::byte* at_ = nullptr;
};

class RemapMap {
public:
    // For a main of so many bytes and a spare of so many slots.
    RemapMap(std::uint64_t main_size, std::uint64_t slots);

    // Inside the gate of `offset`, or with it closed.
    bool may_hold_remaps(std::uint64_t offset) const {
        const std::uint64_t region = offset >> kRegionShift;
        return (filter_[region / 64].load(std::memory_order_relaxed) >> (region % 64) & 1) != 0;
    }

    // The first remap of a block >= block within its gate's remaps, or null. Step on with next().
    // Blocks of other regions of the same gate may follow: compare.
    FoundRemap lower_bound(std::uint64_t block) const;
    FoundRemap next(const FoundRemap& found) const;
    FoundRemap find(std::uint64_t block) const;

    // With the gate closed and empty, or before I/O begins. make_room() throws bad_alloc; put()
    // only where the block is new and there is no room: the room for so many new blocks of this
    // one's gate stays until they are put.
    void make_room(std::uint64_t block, std::size_t more);
    void put(const Remap& remap);
    void remove(std::uint64_t block);

    // Into an empty map, before I/O begins: all that `each(take)` gives by take(remap), each block
    // once. It is called twice, to count and to take. Throws bad_alloc.
    template <typename Each>
    void fill(Each&& each) {
        std::vector<std::size_t> counts(kGates);
        each([&](const Remap& remap) { counts[shard_of(remap.block)]++; });
        for (unsigned shard = 0; shard < kGates; shard++) {
            shards_[shard].reserve(counts[shard] * bytes_);
        }
        each([&](const Remap& remap) {
            Shard& shard = shards_[shard_of(remap.block)];
            insert(shard, shard.size() / bytes_, remap);
        });
        sort();
    }

private:
    using Shard = std::vector<std::byte>;  // remaps of bytes_ each: block, slot, lost, retry

    static unsigned shard_of(std::uint64_t block) { return gate_of(block * DMR_BLOCK_SIZE); }
    std::uint64_t block_at(const std::byte* at) const;
    Remap unpack(const std::byte* at) const;
    void pack(const Remap& remap, std::byte* at) const;
    FoundRemap found(const Shard& shard, std::size_t index) const;
    std::size_t position(const Shard& shard, std::uint64_t block) const;
    bool holds(const Shard& shard, std::size_t index, std::uint64_t block) const;
    void insert(Shard& shard, std::size_t index, const Remap& remap);
    void sort();

    std::vector<std::atomic<std::uint64_t>> filter_;
    std::size_t block_bytes_, slot_bytes_, bytes_;
    std::vector<Shard> shards_;
};

}  // namespace dmremap
