// SPDX-License-Identifier: GPL-2.0-or-later
// Page writes that fail for want of resources (no memory, no room, no device): they speak against
// no page, and at each instant one whole copy of every page is left alone.
#include <gtest/gtest.h>

#include <cerrno>

#include "core/meta/entry_table.h"
#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kPerPage = 4096 / DMR_ENTRY_SIZE;

// A write to this place leaves garbage and fails with the error.
void garble_and_fail(FormattedSpare& spare, const std::string& place, int error) {
    spare.spare->set_hook([&spare, place, error](const Call& call) {
        if (call.op != Op::write || spare.place(call.offset) != place) return Medium::kPass;
        spare.garble(call.offset, 512);
        return error;
    });
}

class TableResources : public testing::TestWithParam<int> {};

TEST_P(TableResources, AChangeThatWasNeverMadeIsRefused) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail(Op::write, {"first 0"}, GetParam());
    EXPECT_EQ(open.claim(0, 10), CommitOutcome::refused);
    EXPECT_EQ(open.table.device_error(), GetParam());
    EXPECT_FALSE(open.table.retired(0));
    EXPECT_FALSE(open.table.owes());
    EXPECT_FALSE(open.table.live(0));
    for (const std::string& word : spare.written()) EXPECT_EQ(word, "first 0");
    spare.fail_nothing();
    EXPECT_EQ(open.claim(0, 10), CommitOutcome::durable);
    EXPECT_EQ(open.table.device_error(), 0);
    expect_equal_copies(spare, 0);
    EXPECT_EQ(open.table.counts().retired_pages, 0u);
}

TEST_P(TableResources, AnotherPageOfTheSameCommitIsNoneTheWorse) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail(Op::write, {"first 0"}, GetParam());
    const EntryChange changes[] = {
        {.slot = 0, .state = DMR_REMAPPED, .main_block = 10, .reason = DMR_REASON_WRITE},
        {.slot = kPerPage, .state = DMR_REMAPPED, .main_block = 11, .reason = DMR_REASON_WRITE}};
    EXPECT_EQ(open.table.commit(changes),
              (std::vector<CommitOutcome>{CommitOutcome::refused, CommitOutcome::durable}));
    expect_equal_copies(spare, 1);
}

TEST_P(TableResources, TheSecondCopyIsPaidBeforeAnythingElseIsWritten) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail(Op::write, {"second 0"}, GetParam());
    EXPECT_EQ(open.claim(0, 10), CommitOutcome::owed);
    EXPECT_TRUE(open.table.owes());
    EXPECT_TRUE(open.table.old_version_left());
    EXPECT_TRUE(open.table.retired(0));
    EXPECT_TRUE(open.table.may_have_older_claim(10));
    EXPECT_EQ(open.table.counts().retired_pages, 0u);
    spare.written();
    EXPECT_EQ(open.claim(kPerPage, 11), CommitOutcome::refused);
    for (const std::string& word : spare.written()) EXPECT_EQ(word, "second 0");
    EXPECT_EQ(open.table.pay_back(), GetParam());
    spare.fail_nothing();
    spare.written();
    EXPECT_EQ(open.claim(1, 11), CommitOutcome::durable);
    EXPECT_EQ(spare.written(),
              (Words{"second 0", "flush", "first 0", "flush", "second 0", "flush"}));
    EXPECT_FALSE(open.table.owes());
    EXPECT_FALSE(open.table.old_version_left());
    EXPECT_FALSE(open.table.retired(0));
    EXPECT_EQ(open.table.allocate().value(), 2u);
    expect_equal_copies(spare, 0);
}

TEST_P(TableResources, WhatWasHalfWrittenIsTakenBack) {
    FormattedSpare spare;
    OpenSpare open(spare);
    open.claim(0, 10);
    garble_and_fail(spare, "first 0", GetParam());
    EXPECT_EQ(open.claim(1, 11), CommitOutcome::page_failed);
    EXPECT_TRUE(open.table.owes());
    spare.fail_nothing();
    spare.written();
    EXPECT_FALSE(open.table.old_version_left()) << "the second copy says what counts";
    EXPECT_EQ(open.table.pay_back(), 0);
    EXPECT_EQ(spare.written(), (Words{"first 0", "flush", "second 0", "flush"}));
    expect_equal_copies(spare, 0);
    const LoadedTable loaded = reload(spare);
    EXPECT_GT(dmr_le64(loaded.entries[1].sequence), dmr_le64(loaded.entries[0].sequence) + 1)
        << "above the change that was taken back";
    EXPECT_EQ(loaded.report.remapped, 1u);
    EXPECT_EQ(loaded.report.no_copy, 0u);
}

TEST_P(TableResources, ADebtThatTheMediumRefusesRetiresThePage) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail(Op::write, {"second 0"}, GetParam());
    open.claim(0, 10);
    spare.fail(Op::write, {"second 0"}, EIO);
    EXPECT_EQ(open.claim(kPerPage, 11), CommitOutcome::durable);
    EXPECT_FALSE(open.table.owes());
    EXPECT_TRUE(open.table.retired(0));
    EXPECT_EQ(open.table.counts().retired_pages, 1u);
    EXPECT_EQ(open.table.live_on_retired_pages(9), std::vector<std::uint64_t>{0});
    EXPECT_EQ(open.claim(kPerPage + 1, 12), CommitOutcome::durable);
    EXPECT_EQ(open.table.old_version_left(), GetParam()) << "a block rests on one copy there";
    EXPECT_EQ(open.claim(kPerPage + 2, 10, 0, 0), CommitOutcome::durable);
    EXPECT_EQ(open.table.old_version_left(), 0) << "it has moved";
}

// What lost to another claim must not outdo it because its erasure did not go through.
TEST_P(TableResources, AnErasureThatIsTakenBackLeavesTheClaimAsOldAsItWas) {
    FormattedSpare spare;
    {
        OpenSpare open(spare);
        open.claim(0, 10);
        open.claim(kPerPage, 10, 0, 0);
        garble_and_fail(spare, "first 0", GetParam());
        EXPECT_EQ(open.erase(0), CommitOutcome::page_failed);
        spare.fail_nothing();
        EXPECT_EQ(open.table.pay_back(), 0);
    }
    OpenSpare open(spare);
    EXPECT_TRUE(open.table.live(kPerPage));
    EXPECT_FALSE(open.table.live(0));
}

TEST_P(TableResources, AScanLeavesAPageThatCannotBeWrittenJustNow) {
    FormattedSpare spare;
    OpenSpare open(spare);
    open.claim(0, 10);
    spare.garble(spare.page_at(1, 0), 512);
    spare.fail(Op::write, {"second 0"}, GetParam());
    EXPECT_EQ(open.table.check_page(0), PageCheck::unknown);
    EXPECT_EQ(open.table.counts().retired_pages, 0u);
    EXPECT_TRUE(open.table.owes());
    spare.fail_nothing();
    EXPECT_EQ(open.table.pay_back(), 0);
    EXPECT_EQ(open.table.check_page(0), PageCheck::good);
    expect_equal_copies(spare, 0);
}

TEST_P(TableResources, OpeningOwesWhatItCannotRepair) {
    FormattedSpare spare;
    {
        OpenSpare open(spare);
        open.claim(0, 10);
    }
    spare.wipe_entry(1, 0);
    OpenSpare open(spare);
    spare.fail(Op::write, {"second 0"}, GetParam());
    std::uint64_t pages = 0, claims = 0;
    EXPECT_EQ(open.table.repair(pages, claims), 0);
    EXPECT_EQ(pages, 0u);
    EXPECT_EQ(open.table.counts().retired_pages, 0u);
    EXPECT_TRUE(open.table.owes());
    spare.fail_nothing();
    EXPECT_EQ(open.claim(1, 11), CommitOutcome::durable);
    expect_equal_copies(spare, 0);
}

INSTANTIATE_TEST_SUITE_P(Errors, TableResources,
                         testing::Values(ENOMEM, EAGAIN, ENOSPC, EDQUOT, ENODEV));

}  // namespace
}  // namespace dmremap::test
