// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/runs.h"

#include <gtest/gtest.h>

#include <cstddef>

#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kRegionBlocks = kRegionSize / kBlock;

class Runs : public testing::Test {
protected:
    Runs() {
        disk_.spare = spare_.spare->device();
        disk_.size = spare_.main->size();
        disk_.superblocks =
            std::make_unique<SuperblockStore>(*disk_.spare, scan_superblocks(*disk_.spare));
        disk_.map = std::make_unique<RemapMap>(disk_.size, dmr_le64(spare_.geometry.slots));
    }
    void put(std::uint64_t block, std::uint64_t slot, std::uint8_t lost = 0) {
        Remap remap;
        remap.block = block;
        remap.slot = slot & Remap::kFenced;
        remap.lost = lost;
        disk_.map->put(remap);
    }
    Cut cut(Op op, std::uint64_t offset, std::uint64_t length) {
        piece_.op = op;
        piece_.offset = offset;
        piece_.length = length;
        piece_.data = op == Op::read || op == Op::write ? memory_ : nullptr;
        piece_.runs.reset();
        result_ = cut_into_runs(disk_, piece_);
        return result_;
    }
    struct Expected {
        bool on_spare;
        std::uint64_t offset, length, at;  // at: bytes from the begin of the piece
    };
    void expect(const std::vector<Expected>& expected) {
        std::vector<dmremap::Run> runs;
        if (result_ == Cut::one_run) {
            ASSERT_FALSE(piece_.runs) << "memory was asked for";
            runs.push_back({.io = piece_.io, .on_spare = piece_.on_spare});
        } else if (result_ == Cut::runs) {
            ASSERT_TRUE(piece_.runs);
            runs = piece_.runs->runs;
        }
        ASSERT_EQ(runs.size(), expected.size());
        for (std::size_t i = 0; i < runs.size(); i++) {
            SCOPED_TRACE(i);
            EXPECT_EQ(runs[i].on_spare, expected[i].on_spare);
            EXPECT_EQ(runs[i].io.op, piece_.op);
            EXPECT_EQ(runs[i].io.offset, expected[i].offset);
            EXPECT_EQ(runs[i].io.length, expected[i].length);
            EXPECT_EQ(runs[i].io.data,
                      piece_.data == nullptr ? nullptr : piece_.data + expected[i].at);
        }
    }
    std::uint64_t slot(std::uint64_t n) const { return disk_.slot_offset(n); }

    FormattedSpare spare_;
    Context disk_;
    Piece piece_;
    Cut result_ = Cut::nothing;  // of the last cut
    std::byte memory_[64 * kBlock];
};

TEST_F(Runs, WithoutARemapInTheWayAllIsMain) {
    put(10, 0);
    EXPECT_EQ(cut(Op::read, 0, 10 * kBlock), Cut::one_run);
    expect({{false, 0, 10 * kBlock, 0}});
    EXPECT_EQ(cut(Op::read, 11 * kBlock, kBlock), Cut::one_run);
    expect({{false, 11 * kBlock, kBlock, 0}});
    // A remap of another region under the same gate does not count.
    put(kRegionBlocks + 1, 1);
    EXPECT_EQ(cut(Op::write, 11 * kBlock, (kRegionBlocks - 11) * kBlock), Cut::one_run);
    expect({{false, 11 * kBlock, (kRegionBlocks - 11) * kBlock, 0}});
}

TEST_F(Runs, AStretchOfSlotsAloneAsksForNoMemory) {
    put(10, 3);
    put(11, 4);
    EXPECT_EQ(cut(Op::read, 10 * kBlock, 2 * kBlock), Cut::one_run);
    expect({{true, slot(3), 2 * kBlock, 0}});
    EXPECT_EQ(cut(Op::write, 10 * kBlock, 3 * kBlock), Cut::runs);
    expect({{true, slot(3), 2 * kBlock, 0}, {false, 12 * kBlock, kBlock, 2 * kBlock}});
}

// Known mistake 2: only the first sector of a request is looked up.
TEST_F(Runs, EveryBlockOfThePieceIsLookedUp) {
    put(10, 3);
    EXPECT_EQ(cut(Op::read, 8 * kBlock, 4 * kBlock), Cut::runs);
    expect({{false, 8 * kBlock, 2 * kBlock, 0},
            {true, slot(3), kBlock, 2 * kBlock},
            {false, 11 * kBlock, kBlock, 3 * kBlock}});
}

TEST_F(Runs, NeighboursOnTheSpareAreOneRun) {
    put(10, 3);
    put(11, 4);
    put(12, 6);
    put(13, 5);
    EXPECT_EQ(cut(Op::write, 10 * kBlock, 4 * kBlock), Cut::runs);
    expect({{true, slot(3), 2 * kBlock, 0},
            {true, slot(6), kBlock, 2 * kBlock},
            {true, slot(5), kBlock, 3 * kBlock}});
}

TEST_F(Runs, NeighbouringSlotsAcrossAHoleAreTwoRuns) {
    std::uint64_t before = 0;
    while (slot(before + 1) == slot(before) + kBlock) before++;
    ASSERT_EQ(slot(before + 1), slot(before) + kBlock + DMR_HOLE);
    put(10, before);
    put(11, before + 1);
    EXPECT_EQ(cut(Op::read, 10 * kBlock, 2 * kBlock), Cut::runs);
    expect({{true, slot(before), kBlock, 0}, {true, slot(before + 1), kBlock, kBlock}});
}

TEST_F(Runs, PartsOfBlocksGoToPartsOfSlots) {
    put(10, 3);
    put(11, 9);
    EXPECT_EQ(cut(Op::read, 10 * kBlock + 1024, kBlock), Cut::runs);
    expect({{true, slot(3) + 1024, 3072, 0}, {true, slot(9), 1024, 3072}});
    EXPECT_EQ(cut(Op::read, 10 * kBlock + 512, 512), Cut::one_run);
    expect({{true, slot(3) + 512, 512, 0}});
}

TEST_F(Runs, WhatIsLostIsNotReadAndNotWrittenPast) {
    put(10, 3, 0x04);  // the third sector
    EXPECT_EQ(cut(Op::read, 10 * kBlock + 1024, 512), Cut::lost);
    EXPECT_EQ(cut(Op::read, 9 * kBlock, 3 * kBlock), Cut::lost);
    EXPECT_EQ(cut(Op::read, 10 * kBlock, 1024), Cut::one_run);
    EXPECT_EQ(cut(Op::read, 10 * kBlock + 1536, 512), Cut::one_run);
    expect({{true, slot(3) + 1536, 512, 0}});
    for (const Op op : {Op::write, Op::zero}) {
        EXPECT_EQ(cut(op, 10 * kBlock, kBlock), Cut::exclusive) << "the mark must be cleared";
        EXPECT_EQ(cut(op, 10 * kBlock, 1024), Cut::one_run);
    }
}

TEST_F(Runs, AFencedBlockIsLostToAll) {
    put(10, Remap::kFenced);
    for (const Op op : {Op::read, Op::write, Op::zero}) {
        EXPECT_EQ(cut(op, 10 * kBlock, 512), Cut::lost);
    }
}

TEST_F(Runs, ADiscardNeverReachesASlot) {
    put(10, 3, 0xff);
    put(12, 4);
    EXPECT_EQ(cut(Op::discard, 9 * kBlock, 5 * kBlock), Cut::runs);
    expect({{false, 9 * kBlock, kBlock, 0},
            {false, 11 * kBlock, kBlock, 2 * kBlock},
            {false, 13 * kBlock, kBlock, 4 * kBlock}});
    EXPECT_EQ(cut(Op::discard, 10 * kBlock, kBlock), Cut::nothing);
    EXPECT_EQ(cut(Op::discard, 9 * kBlock, 2 * kBlock), Cut::one_run);
    expect({{false, 9 * kBlock, kBlock, 0}});
}

}  // namespace
}  // namespace dmremap::test
