// SPDX-License-Identifier: GPL-2.0-or-later
// Pages whose copies say different things: how they are mended, and what stays in doubt.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kPerPage = 4096 / DMR_ENTRY_SIZE;
constexpr std::uint64_t kInPiece = 512 / DMR_ENTRY_SIZE;

EntryChange remap(std::uint64_t slot, std::uint64_t block) {
    return EntryChange{
        .slot = slot, .state = DMR_REMAPPED, .main_block = block, .reason = DMR_REASON_WRITE};
}

std::uint64_t block_of(const LoadedTable& table, std::uint64_t slot) {
    return dmr_le64(table.entries[slot].main_block);
}

// Blocks 10 and 11 live in two pieces of a page, of which each copy lacks one.
void tear(FormattedSpare& spare) {
    {
        OpenSpare open(spare);
        const EntryChange changes[] = {remap(0, 10), remap(kInPiece, 11)};
        open.table.commit(changes);
    }
    spare.wipe_entry(0, 0);
    spare.wipe_entry(1, kInPiece);
}

// What a power cut tears out of a page is a physical block, and so the other copy has that whole.
TEST(EntryTable, P4_AMixedPageIsMendedInPieces) {
    for (const std::uint32_t physical : {512u, 4096u}) {
        FormattedSpare spare(Shape{.spare_physical = physical});
        tear(spare);
        OpenSpare open(spare);
        EXPECT_EQ(reload(spare).pages[0], PageHealth::mixed);
        spare.written();
        std::uint64_t pages = 0, claims = 0;
        EXPECT_EQ(open.table.repair(pages, claims), 0);
        if (physical == 512) {
            EXPECT_EQ(spare.written(), (Words{"first 0", "second 0", "flush"}));
            EXPECT_EQ(pages, 1u);
            EXPECT_FALSE(open.table.retired(0));
            expect_equal_copies(spare, 0);
        } else {
            EXPECT_EQ(spare.written(), Words{});
            EXPECT_TRUE(open.table.retired(0)) << "a write of part of it puts all of it at risk";
        }
        EXPECT_EQ(block_of(reload(spare), 0), 10u);
        EXPECT_EQ(block_of(reload(spare), kInPiece), 11u);
    }
}

TEST(EntryTable, AMixedPageWhoseMendingFailsStaysOutOfUse) {
    for (const int error : {EIO, ENOMEM}) {
        FormattedSpare spare;
        tear(spare);
        OpenSpare open(spare);
        spare.fail(Op::write, {"second 0"}, error);
        std::uint64_t pages = 0, claims = 0;
        EXPECT_EQ(open.table.repair(pages, claims), 0);
        EXPECT_EQ(pages, 0u);
        EXPECT_TRUE(open.table.retired(0));
        EXPECT_FALSE(open.table.owes());
        EXPECT_EQ(open.table.counts().retired_pages, 1u);
    }
}

// Every way in which an older version could win if a copy were lost, and those in which it could
// not.
TEST(EntryTable, P4_BlocksWithAnOlderVersionBesideAreInDoubt) {
    FormattedSpare spare;
    std::vector<std::byte> old;
    {
        OpenSpare open(spare);
        const EntryChange first[] = {remap(0, 10), remap(1, 11), remap(2, 12), remap(3, 13)};
        open.table.commit(first);
        old = spare.spare->peek(spare.page_at(1, 0), spare.page_size());
        open.erase(0);                   // 10 went back to main
        open.claim(kPerPage, 11, 0, 1);  // 11 moved to another page,
        open.erase(1);                   // and left this one
        open.claim(4, 14);               // new
        open.claim(2, 12, 0x0f);         // other marks; 13 stays as it was
    }
    spare.spare->poke(spare.page_at(1, 0), old.data(), old.size());
    OpenSpare open(spare);
    std::vector<std::uint64_t> blocks;
    spare.fail(Op::write, {"second 0"});
    std::uint64_t pages = 0, claims = 0;
    EXPECT_EQ(open.table.repair(pages, claims), 0);
    EXPECT_EQ(open.table.find_doubts(blocks), 0);
    EXPECT_EQ(blocks, (std::vector<std::uint64_t>{10, 12, 14}));
    spare.fail(Op::read, {"second 0"});
    EXPECT_EQ(open.table.find_doubts(blocks), 0);
    EXPECT_TRUE(blocks.empty()) << "what cannot be read cannot win";
    spare.fail(Op::read, {"second 0"}, ENOMEM);
    EXPECT_EQ(open.table.find_doubts(blocks), ENOMEM);
}

}  // namespace
}  // namespace dmremap::test
