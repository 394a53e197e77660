// SPDX-License-Identifier: GPL-2.0-or-later
// Commits, repair, retired and mixed pages. Allocation and growth: table_growth_test.cpp.
#include "core/meta/entry_table.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <random>

#include "core/meta/page_io.h"
#include "core/meta/table_step.h"
#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kPerPage = 4096 / DMR_ENTRY_SIZE;

EntryChange remap(std::uint64_t slot, std::uint64_t block) {
    return EntryChange{.slot = slot,
                       .state = DMR_REMAPPED,
                       .main_block = block,
                       .lost = 0,
                       .retry = 0,
                       .reason = DMR_REASON_WRITE};
}

std::uint64_t block_of(const LoadedTable& table, std::uint64_t slot) {
    return dmr_le64(table.entries[slot].main_block);
}

void expect_sound(const TableReport& report) {
    EXPECT_EQ(report.no_copy, 0u);
    EXPECT_EQ(report.conflicts, 0u);
    EXPECT_EQ(report.above_ready, 0u);
}

TEST(EntryTable, TheFirstCopyIsDurableBeforeTheSecondIsTouched) {
    FormattedSpare spare;
    OpenSpare open(spare);
    EXPECT_EQ(open.claim(0, 10), CommitOutcome::durable);
    EXPECT_EQ(spare.written(), (Words{"first 0", "flush", "second 0", "flush"}));
    EXPECT_EQ(spare.spare->peek(spare.page_at(0, 0), 4096),
              spare.spare->peek(spare.page_at(1, 0), 4096));
}

TEST(EntryTable, ManyChangesShareTheirPagesAndFlushes) {
    FormattedSpare spare;
    OpenSpare open(spare);
    const EntryChange changes[] = {remap(0, 10), remap(kPerPage, 11), remap(1, 12)};
    for (const CommitOutcome outcome : open.table.commit(changes)) {
        EXPECT_EQ(outcome, CommitOutcome::durable);
    }
    EXPECT_EQ(spare.written(),
              (Words{"first 0", "first 1", "flush", "second 0", "second 1", "flush"}));
    EXPECT_EQ(open.table.commits(), 1u);
    const LoadedTable loaded = reload(spare);
    EXPECT_EQ(block_of(loaded, 0), 10u);
    EXPECT_EQ(block_of(loaded, kPerPage), 11u);
    EXPECT_EQ(block_of(loaded, 1), 12u);
    EXPECT_EQ(loaded.report.remapped, 3u);
    EXPECT_TRUE(open.table.live(1));
    EXPECT_FALSE(open.table.live(2));
}

TEST(EntryTable, WhatIsSaidOfAnEntryIsKept) {
    FormattedSpare spare;
    OpenSpare open(spare);
    EntryChange change = remap(3, 33);
    change.lost = 0x0c;
    change.retry = 0x04;
    change.reason = DMR_REASON_READ;
    open.table.commit({&change, 1});
    EXPECT_EQ(open.erase(4, DMR_BAD_SLOT), CommitOutcome::durable);
    const LoadedTable loaded = reload(spare);
    const dmr_entry& entry = loaded.entries[3];
    EXPECT_EQ(entry.lost, 0x0c);
    EXPECT_EQ(entry.retry, 0x04);
    EXPECT_EQ(entry.reason, DMR_REASON_READ);
    EXPECT_EQ(loaded.report.lost_sectors, 2u);
    EXPECT_EQ(loaded.report.retry_sectors, 1u);
    EXPECT_EQ(loaded.report.bad_slots, 1u);
    const TableCounts counts = open.table.counts();
    EXPECT_EQ(counts.used, 1u);
    EXPECT_EQ(counts.bad, 1u);
    EXPECT_EQ(counts.lost_sectors, 2u);
    EXPECT_EQ(counts.retry_sectors, 1u);
}

TEST(EntryTable, AFailingFirstCopyLeavesTheSecondAlone) {
    FormattedSpare spare;
    OpenSpare open(spare);
    open.claim(0, 10);
    const auto second = spare.spare->peek(spare.page_at(1, 0), 4096);
    spare.fail(Op::write, {"first 0"});
    spare.log->take();
    const EntryChange changes[] = {remap(1, 11), remap(kPerPage, 12)};
    const auto outcomes = open.table.commit(changes);
    EXPECT_EQ(outcomes[0], CommitOutcome::page_failed);
    EXPECT_EQ(outcomes[1], CommitOutcome::durable);
    EXPECT_EQ(spare.written(), (Words{"first 1", "flush", "second 1", "flush"}));
    EXPECT_EQ(spare.spare->peek(spare.page_at(1, 0), 4096), second);
    EXPECT_TRUE(open.table.retired(0));
    EXPECT_FALSE(open.table.retired(kPerPage));
    EXPECT_EQ(open.table.counts().retired_pages, 1u);
    EXPECT_EQ(open.table.counts().unusable, kPerPage - 1);
    EXPECT_EQ(open.table.live_on_retired_pages(9), std::vector<std::uint64_t>{0});
    // For the rest of the session nothing is written to a retired page, also where it could be.
    spare.fail_nothing();
    EXPECT_EQ(open.claim(1, 11), CommitOutcome::page_failed);
    for (const std::string& word : spare.written()) {
        EXPECT_EQ(word, "flush");
    }
    EXPECT_FALSE(open.table.broken());
}

TEST(EntryTable, AFailingSecondCopyIsDurableOnce) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail(Op::write, {"second 0"});
    EXPECT_EQ(open.claim(0, 10), CommitOutcome::durable_once);
    EXPECT_TRUE(open.table.retired(0));
    EXPECT_FALSE(open.table.broken());
    EXPECT_FALSE(open.table.old_version_left()) << "the caller makes it on another page";
    const LoadedTable loaded = reload(spare);
    EXPECT_EQ(block_of(loaded, 0), 10u);
    EXPECT_EQ(loaded.report.stale, 1u);
    EXPECT_EQ(loaded.pages[0], PageHealth::first_is_good);
}

TEST(EntryTable, AfterAFailedFirstFlushNothingIsKnownAndNothingWritten) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail_flush(1);
    EXPECT_EQ(open.claim(0, 10), CommitOutcome::unknown);
    EXPECT_TRUE(open.table.broken());
    EXPECT_EQ(spare.written(), Words{"first 0"});
    EXPECT_EQ(open.claim(kPerPage, 11), CommitOutcome::unknown);
    EXPECT_FALSE(open.table.allocate());
    EXPECT_EQ(spare.written(), Words{});
    EXPECT_FALSE(open.table.live(0)) << "published, and nobody knows";
}

TEST(EntryTable, AFailedSecondFlushIsDurableOnceAndTheLast) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail_flush(2);
    EXPECT_EQ(open.claim(0, 10), CommitOutcome::durable);
    EXPECT_TRUE(open.table.live(0));
    EXPECT_TRUE(open.table.broken());
    spare.written();
    EXPECT_EQ(open.claim(1, 11), CommitOutcome::unknown);
    EXPECT_EQ(spare.written(), Words{});
}

// The power goes off at each call of a commit in turn, and the page under the pen is garbled.
TEST(EntryTable, P3_ACrashLeavesEachEntryOldOrNew) {
    for (std::uint64_t cut = 1; cut <= 5; cut++) {
        for (unsigned seed = 0; seed < 8; seed++) {
            SCOPED_TRACE("call " + std::to_string(cut) + ", seed " + std::to_string(seed));
            FormattedSpare spare;
            {
                OpenSpare open(spare);
                const EntryChange before[] = {remap(0, 10), remap(1, 11), remap(2, 12)};
                open.table.commit(before);
                spare.set_cache(true);
                spare.log->take();
                spare.power->cut_at(cut);
                const EntryChange changes[] = {remap(1, 21), remap(5, 25),
                                               EntryChange{.slot = 2, .state = DMR_BAD_SLOT}};
                open.table.commit(changes);
            }
            const Words done = spare.written();
            std::mt19937_64 rng(seed);
            spare.spare->lose(&rng);
            spare.power->on();
            if (seed % 2 == 1 && !done.empty() && done.back() != "flush") {
                spare.garble(spare.page_at(done.back() == "first 0" ? 0 : 1, 0), 4096);
            }
            const LoadedTable loaded = reload(spare);
            expect_sound(loaded.report);
            EXPECT_EQ(block_of(loaded, 0), 10u);
            const bool durable = cut > 2;  // first copy, flush
            const auto old_or_new = [&](std::uint64_t slot, std::uint64_t old, std::uint64_t now) {
                EXPECT_TRUE(block_of(loaded, slot) == now ||
                            (!durable && block_of(loaded, slot) == old))
                    << slot;
            };
            old_or_new(1, 11, 21);
            old_or_new(5, DMR_NO_BLOCK, 25);
            old_or_new(2, 12, DMR_NO_BLOCK);
            OpenSpare again(spare);
            std::uint64_t pages = 0, claims = 0;
            EXPECT_EQ(again.table.repair(pages, claims), 0);
            EXPECT_EQ(reload(spare).pages[0], PageHealth::good);
        }
    }
}

TEST(EntryTable, RepairWritesOnlyTheBadCopyAndOnlyOnce) {
    for (const int bad : {0, 1}) {
        FormattedSpare spare;
        {
            OpenSpare open(spare);
            open.claim(0, 10);
            open.claim(kPerPage, 11);
        }
        spare.wipe_entry(bad, 0);
        OpenSpare open(spare);
        EXPECT_EQ(open.report.one_copy, 1u);
        EXPECT_TRUE(open.table.retired(0)) << "until it is repaired";
        std::uint64_t pages = 0, claims = 0;
        EXPECT_EQ(open.table.repair(pages, claims), 0);
        EXPECT_EQ(pages, 1u);
        EXPECT_EQ(spare.written()[0], bad == 0 ? "first 0" : "second 0");
        EXPECT_FALSE(open.table.retired(0));
        EXPECT_EQ(open.table.counts().retired_pages, 0u);
        EXPECT_EQ(reload(spare).pages[0], PageHealth::good);
        EXPECT_EQ(open.table.repair(pages, claims), 0);
        EXPECT_EQ(pages + claims, 0u);
        EXPECT_EQ(spare.written(), Words{});
    }
}

TEST(EntryTable, APageThatCannotBeRepairedStaysRetired) {
    FormattedSpare spare;
    {
        OpenSpare open(spare);
        open.claim(0, 10);
    }
    spare.wipe_entry(1, 0);
    OpenSpare open(spare);
    spare.fail(Op::write, {"second 0"});
    std::uint64_t pages = 0, claims = 0;
    EXPECT_EQ(open.table.repair(pages, claims), 0);
    EXPECT_EQ(pages, 0u);
    EXPECT_TRUE(open.table.retired(0));
    EXPECT_EQ(open.table.live_on_retired_pages(9), std::vector<std::uint64_t>{0});
    for (unsigned i = 0; i < 200; i++) {
        EXPECT_GE(open.table.allocate().value(), kPerPage);
    }
}

TEST(EntryTable, AFailedFlushOfTheRepairIsReported) {
    FormattedSpare spare;
    spare.wipe_entry(0, 0);
    OpenSpare open(spare);
    spare.fail_flush(1);
    std::uint64_t pages = 0, claims = 0;
    EXPECT_EQ(open.table.repair(pages, claims), EIO);
    EXPECT_TRUE(open.table.broken());
}

// What a flush failed on may be gone again: nothing more is written, and nothing is called paid.
TEST(EntryTable, AFailedFlushOfAnOwedCopyIsTheLast) {
    FormattedSpare spare;
    OpenSpare open(spare);
    spare.fail(Op::write, {"second 0"}, ENOSPC);
    ASSERT_EQ(open.claim(0, 10), CommitOutcome::owed);
    EXPECT_TRUE(open.table.old_version_left());
    spare.fail_nothing();
    spare.fail_flush(1);
    spare.written();
    EXPECT_EQ(open.table.pay_back(), EIO);
    EXPECT_EQ(spare.written(), Words{"second 0"});
    EXPECT_TRUE(open.table.broken());
    EXPECT_TRUE(open.table.owes());
    EXPECT_EQ(open.claim(1, 11), CommitOutcome::unknown);
    EXPECT_EQ(spare.written(), Words{});
}

TEST(EntryTable, AFailedFlushOfACopyThatAScanRestoresIsTheLast) {
    FormattedSpare spare;
    OpenSpare open(spare);
    ASSERT_EQ(open.claim(0, 10), CommitOutcome::durable);
    spare.garble(spare.page_at(0, 0), 512);
    spare.garble(spare.page_at(1, 0), 512);
    spare.fail_flush(1);
    spare.written();
    EXPECT_EQ(open.table.check_page(0), PageCheck::lost);
    EXPECT_EQ(spare.written(), Words{"first 0"});
    EXPECT_TRUE(open.table.broken());
    EXPECT_EQ(open.table.live_on_retired_pages(9), std::vector<std::uint64_t>{0});
}

// Each copy holds the only good entry of something: rewriting either would put that under the pen.
TEST(EntryTable, AMixedPageIsNeverRewrittenWhole) {
    FormattedSpare spare;
    {
        OpenSpare open(spare);
        const EntryChange changes[] = {remap(0, 10), remap(1, 11)};
        open.table.commit(changes);
    }
    spare.wipe_entry(0, 0);
    spare.wipe_entry(1, 1);
    OpenSpare open(spare);
    expect_sound(open.report);
    EXPECT_EQ(open.report.one_copy, 2u);
    std::uint64_t pages = 0, claims = 0;
    EXPECT_EQ(open.table.repair(pages, claims), 0);
    EXPECT_EQ(pages, 0u);
    EXPECT_EQ(spare.written(), Words{});
    EXPECT_EQ(open.table.live_on_retired_pages(9), (std::vector<std::uint64_t>{0, 1}));
    EXPECT_EQ(open.table.live_on_retired_pages(1).size(), 1u);
    // Its remaps move away; their old claims stay where they are, superseded.
    for (const std::uint64_t slot : {0u, 1u}) {
        const std::uint64_t fresh = open.table.allocate().value();
        EXPECT_GE(fresh, kPerPage);
        EXPECT_EQ(open.claim(fresh, 10 + slot, 0, slot), CommitOutcome::durable);
        EXPECT_FALSE(open.table.live(slot));
        spare.written();
        EXPECT_EQ(open.erase(slot), CommitOutcome::page_failed);
        EXPECT_EQ(spare.written(), Words{});
    }
    EXPECT_TRUE(open.table.live_on_retired_pages(9).empty());
    EXPECT_EQ(open.table.counts().used, 2u);
    const LoadedTable loaded = reload(spare);
    expect_sound(loaded.report);
    EXPECT_EQ(loaded.superseded, (std::vector<std::uint64_t>{0, 1}));
    EXPECT_EQ(loaded.report.remapped, 2u);
}

TEST(EntryTable, TheNewerClaimOnABlockWinsAndTheOlderIsErased) {
    FormattedSpare spare;
    {
        OpenSpare open(spare);
        open.claim(kPerPage, 10);
        open.claim(3, 10);
    }
    LoadedTable loaded = reload(spare);
    EXPECT_EQ(loaded.superseded, std::vector<std::uint64_t>{kPerPage});
    EXPECT_EQ(loaded.report.remapped, 1u);
    OpenSpare open(spare);
    EXPECT_TRUE(open.table.live(3));
    EXPECT_FALSE(open.table.live(kPerPage));
    std::uint64_t pages = 0, claims = 0;
    EXPECT_EQ(open.table.repair(pages, claims), 0);
    EXPECT_EQ(claims, 1u);
    loaded = reload(spare);
    EXPECT_TRUE(loaded.superseded.empty());
    EXPECT_EQ(block_of(loaded, 3), 10u);
    EXPECT_EQ(loaded.entries[kPerPage].state, DMR_FREE);
}

TEST(EntryTable, AnOlderClaimIsErasedOnlyAfterTheWinnerHasTwoCopies) {
    FormattedSpare spare;
    {
        OpenSpare open(spare);
        open.claim(kPerPage, 10);
        open.claim(3, 10);
    }
    spare.wipe_entry(1, 3);
    {
        OpenSpare open(spare);
        spare.fail(Op::write, {"second 0"});
        std::uint64_t pages = 0, claims = 0;
        EXPECT_EQ(open.table.repair(pages, claims), 0);
        EXPECT_EQ(pages + claims, 0u);
        EXPECT_EQ(spare.written(), Words{});
    }
    spare.fail_nothing();
    OpenSpare open(spare);
    std::uint64_t pages = 0, claims = 0;
    EXPECT_EQ(open.table.repair(pages, claims), 0);
    EXPECT_EQ(pages, 1u);
    EXPECT_EQ(claims, 1u);
    EXPECT_EQ(spare.written(),
              (Words{"second 0", "flush", "first 1", "flush", "second 1", "flush"}));
}

TEST(EntryTable, P4_TwoClaimsOrCopiesOfOneSequenceAreDamage) {
    FormattedSpare spare;
    {
        OpenSpare open(spare);
        open.claim(0, 10);
        open.claim(1, 11);
    }
    dmr_entry twin = spare.entry_of(0, 0);
    spare.put_entry(0, 2, twin);
    spare.put_entry(1, 2, twin);
    EXPECT_EQ(reload(spare).report.conflicts, 1u);
    twin = initial_entry(spare.geometry, 2);
    spare.put_entry(0, 2, twin);
    spare.put_entry(1, 2, twin);
    expect_sound(reload(spare).report);
    dmr_entry other = spare.entry_of(1, 1);
    other.main_block = dmr_to_le64(99u);
    spare.put_entry(1, 1, other);
    EXPECT_EQ(reload(spare).report.conflicts, 1u);
}

TEST(EntryTable, P4_AnEntryWithoutAGoodCopyIsDamage) {
    FormattedSpare spare;
    spare.wipe_entry(0, 7);
    spare.wipe_entry(1, 7);
    EXPECT_EQ(reload(spare).report.no_copy, 1u);
    const LoadedTable loaded = reload(spare);
    EXPECT_EQ(loaded.pages[0], PageHealth::mixed);
}

// One unreadable sector costs the entries in it, not the page.
TEST(EntryTable, UnreadableSectorsCostOnlyTheirEntries) {
    FormattedSpare spare;
    Fault fault;
    fault.read = true;
    spare.spare->set_fault(spare.page_at(0, 0) / kSector, 1, fault);
    spare.spare->set_fault(spare.page_at(1, 0) / kSector + 1, 1, fault);
    const LoadedTable loaded = reload(spare);
    expect_sound(loaded.report);
    EXPECT_EQ(loaded.report.one_copy, 2u * 512 / DMR_ENTRY_SIZE);
    EXPECT_EQ(loaded.pages[0], PageHealth::mixed);
}

// So large that several threads judge it; a thread that took a page too many or too few would show
// at the ends of its share.
TEST(EntryTable, ALargeTableIsLoadedWhole) {
    constexpr std::uint64_t kPages = 300, kStep = 7;
    FormattedSpare spare({.spare_size = 160ull << 20});
    dmr_superblock sb = spare.geometry;
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    ASSERT_GE(dmr_le64(sb.slots), kPages * per_page);
    std::vector<std::uint8_t> bad;
    ASSERT_EQ(initialise_pages(*spare.spare->device(), sb, 0, kPages, bad), 0);
    spare.edit_superblocks(
        [&](dmr_superblock& all) { all.table_ready = dmr_to_le64(kPages * per_page); });
    {
        OpenSpare open(spare);
        for (std::uint64_t page = 0; page < kPages; page += kStep)
            ASSERT_EQ(open.claim(page * per_page, page), CommitOutcome::durable);
    }
    spare.wipe_entry(0, kPages * per_page - 1);
    const LoadedTable loaded = reload(spare);
    EXPECT_EQ(loaded.report.entries, kPages * per_page);
    EXPECT_EQ(loaded.report.remapped, (kPages + kStep - 1) / kStep);
    EXPECT_EQ(loaded.report.one_copy, 1u);
    for (std::uint64_t page = 0; page < kPages; page++) {
        EXPECT_EQ(loaded.pages[page],
                  page == kPages - 1 ? PageHealth::second_is_good : PageHealth::good);
        const dmr_entry& entry = loaded.entries[page * per_page];
        EXPECT_EQ(entry.state, page % kStep == 0 ? DMR_REMAPPED : DMR_FREE);
    }
}

// Sequences of a session are above all that any earlier one can have used, seen or not.
TEST(EntryTable, SequencesAreNeverUsedTwice) {
    FormattedSpare spare;
    std::uint64_t last = 0;
    for (unsigned session = 0; session < 3; session++) {
        OpenSpare open(spare);
        open.claim(session, session);
        const std::uint64_t sequence = dmr_le64(open.table.entry(session).sequence);
        EXPECT_EQ(sequence >> 32, dmr_le64(open.store.current().entry_epoch));
        EXPECT_GT(sequence >> 32, last >> 32);
        last = sequence;
    }
    // An entry from the future, as a superblock older than the table would see it.
    dmr_entry ahead = spare.entry_of(0, 2);
    ahead.sequence = dmr_to_le64(std::uint64_t{77} << 32 | 5);
    spare.put_entry(0, 2, ahead);
    spare.put_entry(1, 2, ahead);
    OpenSpare open(spare);
    open.claim(5, 55);
    EXPECT_EQ(dmr_le64(open.table.entry(5).sequence), std::uint64_t{78} << 32);
}

}  // namespace
}  // namespace dmremap::test
