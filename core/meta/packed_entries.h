// SPDX-License-Identifier: GPL-2.0-or-later
// The entries of an open table in memory: all that is on the spare but for the checksums, which are
// made anew when an entry is written, in 21 bytes each instead of 32.
//
// Nothing is rounded: every valid entry comes back as it was, so that both copies of a page always
// get the same bytes, however often. Only times after the year 2200 do not fit; such an entry,
// which a spare from elsewhere may hold, costs a place in a list of exceptions.
//
// Entries that were never used cost nothing: of 1024 that were only initialised there is no array.
//
// Threads: those of the table that owns it (entry_table.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/format.h"

namespace dmremap {

class PackedEntries {
public:
    // Seconds; what is later is an exception.
    static constexpr std::uint64_t kLatestTime = (std::uint64_t{1} << 33) - 2;

    // Throws bad_alloc.
    explicit PackedEntries(const std::vector<dmr_entry>& entries);

    std::uint64_t size() const { return size_; }

    // Without its CRC, which is 0.
    dmr_entry operator[](std::uint64_t slot) const;

    // A valid entry. Throws bad_alloc where there is no room for the slot, or its time is an
    // exception; never after make_room() otherwise.
    void set(std::uint64_t slot, const dmr_entry& entry);
    void make_room(std::uint64_t slot);  // throws bad_alloc, and then nothing has changed

    // More entries, as a step of the table initialises them. Never throws after room_to_grow().
    void grow(std::uint64_t more);
    void room_to_grow(std::uint64_t more);  // throws bad_alloc, and then nothing has changed

private:
    static constexpr std::uint64_t kOtherTime = kLatestTime + 1;
    static constexpr std::uint64_t kChunk = 1024;
    static constexpr std::uint64_t kBlockMask = (std::uint64_t{1} << 51) - 1;

    // All zeros: free, never used. A free or a bad slot has no block.
    struct [[gnu::packed]] Packed {
        std::uint64_t sequence : 63 = 0;
        std::uint64_t time_high : 1 = 0;
        std::uint32_t time_low = 0;
        std::uint64_t block : 51 = 0;  // of a main below 2^63 bytes
        std::uint64_t state : 2 = 0;
        std::uint64_t reason : 3 = 0;
        std::uint64_t lost : 8 = 0;
        std::uint8_t retry = 0;
    };
    static_assert(sizeof(Packed) == 21);
    static_assert(DMR_BLOCK_SIZE == 1u << (63 - 51) && DMR_BAD_SLOT < 4 && DMR_REASON_LAST < 8);

    using Chunk = std::array<Packed, kChunk>;
    static std::uint64_t chunks_for(std::uint64_t entries) {
        return (entries + kChunk - 1) / kChunk;
    }

    std::uint64_t size_;
    std::vector<std::unique_ptr<Chunk>> chunks_;
    std::unordered_map<std::uint64_t, std::uint64_t> other_times_;
};

}  // namespace dmremap
