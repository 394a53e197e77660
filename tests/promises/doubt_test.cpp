// SPDX-License-Identifier: GPL-2.0-or-later
// P4 where a copy of an entry holds an older version that is as valid as the newer one: when the
// newer one cannot be read any more, the older must not answer for data that was written since.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <random>

#include "core/refusal.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kBlock = 10;
constexpr std::uint64_t kAt = kBlock * 8;  // its first sector
constexpr std::uint64_t kPage = 4096;
// A sanitizer looks at the same code many times slower, and sees it in a few lives.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeeds = 2;
#else
constexpr std::uint64_t kSeeds = 12;
#endif

void remapped_block(TestPair& pair) {
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(kAt, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, kAt, 8, 2), 0);
    ASSERT_TRUE(pair.remap_of(kBlock));
    pair.main->heal_all();
}

// Where a page of one of the tables is.
std::uint64_t page_of_table(TestPair& pair, int copy, std::uint64_t slot) {
    const dmr_superblock sb = pair.superblock();
    return dmr_page_offset(&sb, copy, slot / dmr_entries_per_page(&sb));
}

// The user writes and flushes; a crash; then one copy of the page cannot be read, and the pair is
// opened again. What the disk says then of the block, nothing where it does not open.
std::optional<std::vector<std::byte>> after_loss_of(TestPair& pair, std::uint64_t page,
                                                    std::uint32_t version) {
    EXPECT_EQ(write_sectors(*pair.disk, kAt, 8, version), 0);
    EXPECT_EQ(pair.disk->flush(), 0);
    pair.crash();
    pair.spare->set_hook(nullptr);
    pair.main->heal_all();
    pair.spare->set_fault(page / kSector, kPage / kSector, Fault{.read = true, .heals = true});
    try {
        pair.open();
    } catch (const Refusal&) {
        return std::nullopt;
    }
    return read_sectors(*pair.disk, kAt, 8);
}

// `change` with the power going off at each of its calls in turn, and what was not flushed kept,
// dropped or garbled by the physical block.
void at_each_cut(const Shape& shape, const std::function<void(TestPair&)>& before,
                 const std::function<void(TestPair&)>& change) {
    for (std::uint64_t seed = 0; seed < kSeeds; seed++) {
        for (std::uint64_t cut = 1;; cut++) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", cut at call " + std::to_string(cut));
            TestPair pair(shape);
            pair.set_cache(true);
            pair.spare->set_tears(true);
            before(pair);
            if (testing::Test::HasFatalFailure()) return;
            ASSERT_EQ(pair.disk->flush(), 0);
            const std::uint64_t page = page_of_table(pair, static_cast<int>(seed % 2), 0);
            pair.power->cut_at(cut);
            change(pair);
            if (!pair.power->off()) break;
            std::mt19937_64 chance(seed * 1000 + cut);
            pair.crash(&chance);
            pair.open();
            ASSERT_EQ(pair.disk->status().retired_pages, 0u) << "each piece has a whole copy";
            ASSERT_EQ(after_loss_of(pair, page, 3), pattern(kAt, 8, 3));
        }
    }
}

TEST(Promises, P4_AnUnmapThatAPowerCutToreLeavesNoOlderClaim) {
    for (const std::uint32_t physical : {512u, 4096u}) {
        at_each_cut(Shape{.spare_physical = physical}, remapped_block,
                    [](TestPair& pair) { pair.disk->unmap(kAt, 8); });
    }
}

TEST(Promises, P4_ARelocationThatAPowerCutToreLeavesNoOlderVersion) {
    const auto before = [](TestPair& pair) {
        pair.fill_main(1);
        pair.format();
        pair.open();
        pair.main->set_fault(kAt, 8, Fault{.write = true});
    };
    at_each_cut({}, before, [](TestPair& pair) { write_sectors(*pair.disk, kAt, 8, 2); });
}

TEST(Promises, P4_AClearedMarkThatAPowerCutToreDoesNotComeBack) {
    const auto before = [](TestPair& pair) {
        pair.fill_main(1);
        pair.format();
        pair.open();
        pair.main->set_fault(kAt + 2, 1, Fault{.read = true});
        read_sectors(*pair.disk, kAt + 2, 1, EIO);
        ASSERT_TRUE(pair.remap_of(kBlock));
    };
    at_each_cut({}, before, [](TestPair& pair) { write_sectors(*pair.disk, kAt + 2, 1, 2); });
}

// A spare whose second table takes no write in this page, and still holds the claim that an unmap
// has just taken away from the first.
void half_an_unmap(TestPair& pair, bool writable) {
    remapped_block(pair);
    const std::uint64_t first = page_of_table(pair, 0, 0), second = page_of_table(pair, 1, 0);
    const auto before = pair.spare->snapshot();
    ASSERT_EQ(pair.disk->unmap(kAt, 8).changed, 1u);
    const auto after = pair.spare->snapshot();
    pair.crash();
    pair.spare->restore(before);
    pair.spare->poke(first, after.data() + first, kPage);
    if (writable) return;
    pair.spare->set_hook([=](const Call& call) {
        return call.op == Op::write && call.offset == second ? EIO : Medium::kPass;
    });
}

// The block cannot be read while the pair is opened.
void doubt_that_stays(TestPair& pair) {
    half_an_unmap(pair, false);
    pair.main->set_hook([](const Call& call) {
        return call.op == Op::read && call.offset == kAt * kSector ? ENODEV : Medium::kPass;
    });
    pair.open();
    pair.main->set_hook(nullptr);
}

TEST(Promises, P4_ABlockInDoubtIsMappedAnewBeforeItIsServed) {
    TestPair pair;
    half_an_unmap(pair, false);
    pair.open();
    EXPECT_EQ(pair.disk->status().retired_pages, 1u);
    EXPECT_TRUE(pair.remap_of(kBlock)) << "on main, and a valid claim says otherwise";
    EXPECT_TRUE(pair.saw(EventKind::recovered));
    EXPECT_EQ(read_sectors(*pair.disk, kAt, 8), pattern(kAt, 8, 2));
    EXPECT_EQ(after_loss_of(pair, page_of_table(pair, 0, 0), 3), pattern(kAt, 8, 3));
}

// The version is of another slot and newer than the block's own claim, on a page that is good; the
// other copy says that it went, too.
TEST(Promises, P4_ABlockWhoseClaimIsOlderThanAnotherVersionIsMappedAnew) {
    TestPair pair;
    remapped_block(pair);
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t slot = dmr_entries_per_page(&sb);
    const std::uint64_t first = page_of_table(pair, 0, slot), second = page_of_table(pair, 1, slot);
    pair.crash();
    dmr_entry entry{};
    std::memcpy(&entry, pair.spare->peek(page_of_table(pair, 0, 0), sizeof(entry)).data(),
                sizeof(entry));
    ASSERT_EQ(dmr_le64(entry.main_block), kBlock);
    const auto put = [&](std::uint64_t at, std::uint64_t sequence) {
        entry.sequence = dmr_to_le64(sequence);
        entry.crc = dmr_to_le32(dmr_entry_crc(&entry, sb.uuid, slot));
        pair.spare->poke(at, &entry, sizeof(entry));
    };
    const std::uint64_t sequence = dmr_le64(entry.sequence);
    put(second, sequence + 1);
    entry = dmr_entry{};
    entry.main_block = dmr_to_le64(DMR_NO_BLOCK);
    entry.state = DMR_FREE;
    put(first, sequence + 2);
    pair.spare->set_hook([=](const Call& call) {
        return call.op == Op::write && call.offset == second ? EIO : Medium::kPass;
    });
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, kAt, 8), pattern(kAt, 8, 2));
    EXPECT_EQ(after_loss_of(pair, first, 3), pattern(kAt, 8, 3));
}

// One bad copy costs nothing: with nowhere to go the disk is up, and says what it rests on.
TEST(Promises, P4_ABlockInDoubtThatCannotBeMappedAnewIsSaid) {
    TestPair pair;
    doubt_that_stays(pair);
    EXPECT_TRUE(pair.has_cause("metadata_in_doubt"));
    EXPECT_EQ(read_sectors(*pair.disk, kAt, 8), pattern(kAt, 8, 2));
}

// All of the second table takes no write: some pages are tried, and then one copy has to do.
TEST(Promises, P4_ATableThatTakesNoWriteCostsNothing) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.spare->set_hook([&pair](const Call& call) {
        return call.op == Op::write && pair.table_copy(call.offset) == 1 ? EIO : Medium::kPass;
    });
    pair.main->set_fault(kAt, 8, Fault{.write = true});
    pair.main->set_fault(kAt + 80 + 2, 1, Fault{.read = true});
    EXPECT_EQ(write_sectors(*pair.disk, kAt, 8, 2), 0);
    EXPECT_EQ(pair.disk->flush(), 0);
    EXPECT_EQ(pair.disk->status().state, State::degraded);
    EXPECT_TRUE(pair.has_cause("metadata_in_doubt"));
    EXPECT_EQ(pair.disk->status().totals.remaps, 1u);
    read_sectors(*pair.disk, kAt + 80 + 2, 1, EIO);
    EXPECT_EQ(write_sectors(*pair.disk, kAt + 80 + 2, 1, 2), 0) << "a mark";
    EXPECT_EQ(pair.remap_of(kBlock + 10)->lost, 0u);
    pair.disk->salvage();
    EXPECT_TRUE(pair.has_cause("metadata_in_doubt")) << "tried again, and there is no page yet";
    pair.crash();
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, kAt, 8), pattern(kAt, 8, 2));
    EXPECT_EQ(read_sectors(*pair.disk, kAt + 80 + 2, 1), pattern(kAt + 80 + 2, 1, 2));
}

// One block in doubt that cannot be moved makes nobody else rest on one copy.
TEST(Promises, P4_ADoubtThatStaysDoesNotSpread) {
    TestPair pair;
    doubt_that_stays(pair);
    ASSERT_TRUE(pair.has_cause("metadata_in_doubt"));
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t second = dmr_page_offset(&sb, 1, 1);
    pair.spare->set_hook([=](const Call& call) {
        return call.op == Op::write && call.offset == second ? EIO : Medium::kPass;
    });
    ASSERT_EQ(pair.disk->remap(800, 8).changed, 1u);
    const std::uint64_t slot = pair.remap_of(100)->slot;
    EXPECT_NE(slot / dmr_entries_per_page(&sb), 1u) << "the page that takes one copy";
    EXPECT_EQ(pair.disk->status().retired_pages, 2u);
    pair.disk->salvage();
    EXPECT_TRUE(pair.has_cause("metadata_in_doubt")) << "it is as it was";
    EXPECT_EQ(pair.disk->status().totals.moves, 0u) << "acknowledged where it is";
}

TEST(Promises, P4_AHalfDoneUnmapIsFinishedWhereThePageCanBeWritten) {
    TestPair pair;
    half_an_unmap(pair, true);
    pair.open();
    EXPECT_EQ(pair.disk->status().retired_pages, 0u);
    EXPECT_FALSE(pair.remap_of(kBlock));
    EXPECT_EQ(after_loss_of(pair, page_of_table(pair, 0, 0), 3), pattern(kAt, 8, 3));
}

// A page takes no write in the second table, and the block could not be moved away from it later:
// its slot there is read badly.
TEST(Promises, P4_AChangeInOneCopyDoesNotCount) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t second = dmr_page_offset(&sb, 1, 0), slot = dmr_slot_offset(&sb, 0);
    pair.spare->set_hook([=](const Call& call) {
        if (call.op == Op::write && call.offset == second) return EIO;
        return call.op == Op::read && call.offset >= slot && call.offset < slot + 4096
                   ? EIO
                   : Medium::kPass;
    });
    pair.main->set_fault(kAt, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, kAt, 8, 2), 0);
    EXPECT_EQ(pair.disk->status().retired_pages, 1u);
    EXPECT_GE(pair.remap_of(kBlock)->slot, dmr_entries_per_page(&sb)) << "on another page";
    EXPECT_EQ(pair.disk->status().totals.remaps, 1u);
    EXPECT_EQ(pair.disk->status().totals.moves, 0u);
    EXPECT_EQ(after_loss_of(pair, dmr_page_offset(&sb, 0, 0), 3), pattern(kAt, 8, 3));
}

// The same for marks, which have no data of their own to take elsewhere.
TEST(Promises, P4_AClearedMarkInOneCopyDoesNotCount) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(kAt + 2, 1, Fault{.read = true});
    read_sectors(*pair.disk, kAt + 2, 1, EIO);
    const std::uint64_t second = page_of_table(pair, 1, 0);
    pair.spare->set_hook([=](const Call& call) {
        return call.op == Op::write && call.offset == second ? EIO : Medium::kPass;
    });
    ASSERT_EQ(write_sectors(*pair.disk, kAt + 2, 1, 2), 0);
    const dmr_superblock sb = pair.superblock();
    EXPECT_GE(pair.remap_of(kBlock)->slot, dmr_entries_per_page(&sb));
    EXPECT_EQ(pair.remap_of(kBlock)->lost, 0u);
    EXPECT_EQ(after_loss_of(pair, dmr_page_offset(&sb, 0, 0), 3), pattern(kAt, 8, 3));
}

// Of one commit one page takes no second copy for its medium's sake, and another for want of room:
// that the first goes elsewhere must not make the second look well.
TEST(Promises, P2_WhatIsOwedACopyIsNotAcknowledgedBesideWhatGoesElsewhere) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    ASSERT_EQ(pair.disk->remap(800, 8 * (per_page - 1)).changed, per_page - 1);
    const std::uint64_t bad = dmr_page_offset(&sb, 1, 0), full = dmr_page_offset(&sb, 1, 1);
    pair.spare->set_hook([=](const Call& call) {
        if (call.op != Op::write) return Medium::kPass;
        return call.offset == bad ? EIO : call.offset == full ? ENOSPC : Medium::kPass;
    });
    const RangeResult result = pair.disk->remap(kAt, 16);
    EXPECT_EQ(result.refused, 1u);
    EXPECT_EQ(result.error, ENOSPC);
    EXPECT_EQ(pair.disk->status().totals.remaps, per_page + 1) << "made all the same";
    EXPECT_EQ(pair.disk->flush(), ENOSPC);
    pair.spare->set_hook(nullptr);
    EXPECT_EQ(pair.disk->remap(0, 8).changed, 1u) << "which pays";
    EXPECT_EQ(pair.disk->flush(), 0);
}

// Memory runs out for a page write that lands all the same: the change is taken back and made
// elsewhere. Were what the page gets then older than what it held, a copy that shows an earlier
// state would speak for a block that has long been back on main.
TEST(Promises, P4_AChangeThatWasTakenBackDoesNotComeBack) {
    TestPair pair;
    remapped_block(pair);  // so that the page is in use
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t page = dmr_page_offset(&sb, 0, 0);
    constexpr std::uint64_t kOther = 20;
    std::vector<std::byte> landed = pair.spare->peek(page, kPage);
    dmr_entry entry{};
    std::uint64_t highest = 0;
    for (std::uint64_t at = 0; at < kPage; at += sizeof(entry)) {
        std::memcpy(&entry, landed.data() + at, sizeof(entry));
        highest = std::max<std::uint64_t>(highest, dmr_le64(entry.sequence));
    }
    // What the write would have left, with the sequence that comes next.
    entry = dmr_entry{};
    entry.main_block = dmr_to_le64(kOther);
    entry.sequence = dmr_to_le64(highest + 1);
    entry.state = DMR_REMAPPED;
    entry.reason = DMR_REASON_WRITE;
    entry.crc = dmr_to_le32(dmr_entry_crc(&entry, sb.uuid, 1));
    std::memcpy(landed.data() + sizeof(entry), &entry, sizeof(entry));
    int refused = 0;
    pair.spare->set_hook([&](const Call& call) {
        if (call.op != Op::write || call.offset != page || refused == 6) return Medium::kPass;
        if (++refused == 6) pair.spare->poke(page, landed.data(), kPage);
        return ENOMEM;
    });
    pair.main->set_fault(kOther * 8, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, kOther * 8, 8, 5), 0);
    pair.spare->set_hook(nullptr);
    pair.main->heal_all();
    ASSERT_EQ(pair.disk->unmap(kOther * 8, 8).changed, 1u);
    ASSERT_EQ(write_sectors(*pair.disk, kOther * 8, 8, 6), 0);
    ASSERT_EQ(pair.disk->flush(), 0);
    pair.crash();
    pair.spare->poke(page, landed.data(), kPage);  // what this copy held in between
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, kOther * 8, 8), pattern(kOther * 8, 8, 6));
}

}  // namespace
}  // namespace dmremap::test
