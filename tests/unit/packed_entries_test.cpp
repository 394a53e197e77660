// SPDX-License-Identifier: GPL-2.0-or-later
// Proves that an entry in memory is the entry that was on the spare, whatever a valid one may say,
// and that entries nobody used cost nothing. Does not prove what it costs: `make bench` prints
// that.
#include "core/meta/packed_entries.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace dmremap {
namespace {

dmr_entry entry(std::uint8_t state, std::uint64_t block, std::uint64_t sequence, std::uint64_t time,
                std::uint8_t lost = 0, std::uint8_t retry = 0,
                std::uint8_t reason = DMR_REASON_NONE) {
    dmr_entry made{};
    made.main_block = dmr_to_le64(block);
    made.sequence = dmr_to_le64(sequence);
    made.time = dmr_to_le64(time);
    made.state = state;
    made.lost = lost;
    made.retry = retry;
    made.reason = reason;
    return made;
}

const dmr_entry kInitial = entry(DMR_FREE, DMR_NO_BLOCK, 0, 0);

void expect_same(const dmr_entry& got, const dmr_entry& wanted) {
    EXPECT_EQ(std::memcmp(&got, &wanted, sizeof(got)), 0)
        << dmr_le64(got.main_block) << ' ' << dmr_le64(got.sequence) << ' ' << dmr_le64(got.time);
}

constexpr std::uint64_t kLargestBlock = (std::uint64_t{1} << 51) - 1;

TEST(PackedEntries, EveryValidEntryComesBackAsItWas) {
    std::vector<dmr_entry> entries{
        kInitial,
        entry(DMR_FREE, DMR_NO_BLOCK, 7, 8),
        entry(DMR_FREE, DMR_NO_BLOCK, 0, 9),
        entry(DMR_BAD_SLOT, DMR_NO_BLOCK, DMR_SEQUENCE_LIMIT - 1, ~0ull),
        entry(DMR_BAD_SLOT, DMR_NO_BLOCK, 0, 0),
        entry(DMR_REMAPPED, 0, 1, 0, 0, 0, DMR_REASON_WRITE),
        entry(DMR_REMAPPED, kLargestBlock, DMR_SEQUENCE_LIMIT - 1, PackedEntries::kLatestTime, 0xff,
              0xff, DMR_REASON_LAST),
        entry(DMR_REMAPPED, 5, 1, PackedEntries::kLatestTime + 1, 0xff, 0, DMR_REASON_READ),
        entry(DMR_REMAPPED, 6, 1, ~0ull, 0x80, 0x80, DMR_REASON_SCAN),
    };
    std::mt19937_64 rng(3);
    for (unsigned i = 0; i < 5000; i++) {
        const auto lost = static_cast<std::uint8_t>(rng());
        entries.push_back(entry(DMR_REMAPPED, rng() >> 13, rng() >> 1, rng() >> rng() % 64, lost,
                                static_cast<std::uint8_t>(rng() & lost),
                                static_cast<std::uint8_t>(1 + rng() % DMR_REASON_LAST)));
    }
    const PackedEntries packed(entries);
    ASSERT_EQ(packed.size(), entries.size());
    for (std::uint64_t slot = 0; slot < entries.size(); slot++) {
        SCOPED_TRACE(slot);
        expect_same(packed[slot], entries[slot]);
    }
}

TEST(PackedEntries, AnEntryDoesNotTouchItsNeighbours) {
    PackedEntries packed({kInitial, kInitial, kInitial});
    const dmr_entry full = entry(DMR_REMAPPED, kLargestBlock, DMR_SEQUENCE_LIMIT - 1, ~0ull, 0xff,
                                 0xff, DMR_REASON_LAST);
    packed.set(1, full);
    expect_same(packed[0], kInitial);
    expect_same(packed[1], full);
    expect_same(packed[2], kInitial);
    packed.set(1, kInitial);
    expect_same(packed[1], kInitial);
}

TEST(PackedEntries, WhatIsSetLaterForgetsAnExceptionalTime) {
    PackedEntries packed({entry(DMR_REMAPPED, 6, 1, ~0ull, 0, 0, DMR_REASON_SCAN)});
    const dmr_entry usual = entry(DMR_REMAPPED, 6, 2, 1000, 0, 0, DMR_REASON_SCAN);
    packed.set(0, usual);
    expect_same(packed[0], usual);
}

TEST(PackedEntries, NewOnesAreAsAStepInitialisesThem) {
    PackedEntries packed({});
    packed.room_to_grow(3000);
    packed.grow(3000);
    ASSERT_EQ(packed.size(), 3000u);
    const dmr_entry used = entry(DMR_REMAPPED, 4, 5, 6, 0, 0, DMR_REASON_MANUAL);
    packed.make_room(2999);
    packed.set(2999, used);
    packed.room_to_grow(1);
    packed.grow(1);
    for (const std::uint64_t slot : {0, 1023, 1024, 2998, 3000}) {
        expect_same(packed[slot], kInitial);
    }
    expect_same(packed[2999], used);
}

}  // namespace
}  // namespace dmremap
