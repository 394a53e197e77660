// SPDX-License-Identifier: GPL-2.0-or-later
// The mapping in memory: filter and remaps.
//
// The filter has one bit a region: clear means that the region holds no remap, and the I/O goes
// straight to main. Behind it each gate owns the remaps of its regions, sorted by block, 16 bytes
// each. The gate is the lock: who is inside may read its remaps, who has closed it (and seen it
// empty) may change them. So a lookup takes no lock and a change disturbs only its own gate.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
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
static_assert(sizeof(Remap) == 16);

class RemapMap {
public:
    explicit RemapMap(std::uint64_t main_size)
        : filter_((main_size >> kRegionShift) / 64 + 1), shards_(kGates) {}

    // Inside the gate of `offset`, or with it closed.
    bool may_hold_remaps(std::uint64_t offset) const {
        const std::uint64_t region = offset >> kRegionShift;
        return (filter_[region / 64].load(std::memory_order_relaxed) >> (region % 64) & 1) != 0;
    }

    // The first remap of a block >= block within its gate's remaps, or null; valid while inside.
    // Step on with next(). Blocks of other regions of the same gate may follow: compare.
    const Remap* lower_bound(std::uint64_t block) const;
    const Remap* next(const Remap* remap) const;
    const Remap* find(std::uint64_t block) const;

    // With the gate closed and empty, or before I/O begins. make_room() throws bad_alloc; put()
    // only where the block is new and there is no room: the room for so many new blocks of this
    // one's gate stays until they are put.
    void make_room(std::uint64_t block, std::size_t more);
    void put(const Remap& remap);
    void remove(std::uint64_t block);

private:
    static unsigned shard_of(std::uint64_t block) { return gate_of(block * DMR_BLOCK_SIZE); }

    std::vector<std::atomic<std::uint64_t>> filter_;
    std::vector<std::vector<Remap>> shards_;
};

}  // namespace dmremap
