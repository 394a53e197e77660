// SPDX-License-Identifier: GPL-2.0-or-later
// The entry table's slots: which are handed out, and how more of them come into being.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <set>

#include "core/meta/page_io.h"
#include "core/meta/table_step.h"
#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kPerPage = 4096 / DMR_ENTRY_SIZE;

// Takes all slots there are without growing.
void exhaust(EntryTable& table) {
    for (std::uint64_t left = table.ready(); left > 0; left--) {
        ASSERT_TRUE(table.allocate());
    }
}

TEST(TableGrowth, StepsDoubleUpToALimit) {
    FormattedSpare spare;
    const auto entries = [&](std::uint64_t ready) {
        return next_table_step(spare.geometry, ready) * kPerPage;
    };
    EXPECT_EQ(entries(0), 1024u);
    EXPECT_EQ(entries(1024), 2048u);
    EXPECT_EQ(entries(2048), 4096u);
    EXPECT_EQ(entries(65536), 131072u);
    EXPECT_EQ(entries(1 << 20), (1u << 20) + 65536u);
}

TEST(TableGrowth, TheNewEntriesAreDurableBeforeTheSuperblockTellsOfThem) {
    FormattedSpare spare;
    OpenSpare open(spare);
    exhaust(open.table);
    EXPECT_EQ(spare.written(), Words{}) << "reserving is not writing";
    const std::uint64_t ready = open.table.ready();
    ASSERT_LT(ready, dmr_le64(spare.geometry.slots));
    EXPECT_EQ(open.table.allocate(), ready);
    Words expected;
    for (std::uint64_t page = ready / kPerPage; page < spare.pages(); page++) {
        expected.push_back("first " + std::to_string(page));
        expected.push_back("second " + std::to_string(page));
    }
    for (const char* word : {"flush", "copy 0", "flush", "copy 1", "copy 2", "flush"}) {
        expected.emplace_back(word);
    }
    EXPECT_EQ(spare.written(), expected);
    EXPECT_EQ(open.table.ready(), dmr_le64(spare.geometry.slots));
    EXPECT_EQ(open.claim(ready, 5), CommitOutcome::durable);
    EXPECT_EQ(dmr_le64(reload(spare).entries[ready].main_block), 5u);
    // And then the spare is full.
    for (std::uint64_t left = ready + 1; left < dmr_le64(spare.geometry.slots); left++) {
        ASSERT_TRUE(open.table.allocate());
    }
    EXPECT_FALSE(open.table.allocate());
}

TEST(TableGrowth, P3_ACrashLeavesTheTableAtTheOldOrTheNewEnd) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t cut = 1; cut <= 16; cut++) {
        SCOPED_TRACE(cut);
        FormattedSpare spare;
        std::uint64_t before = 0;
        {
            OpenSpare open(spare);
            exhaust(open.table);
            before = open.table.ready();
            spare.set_cache(true);
            spare.power->cut_at(cut);
            open.table.allocate();
        }
        std::mt19937_64 rng(cut);
        spare.spare->lose(&rng);
        spare.power->on();
        const LoadedTable loaded = reload(spare);
        EXPECT_EQ(loaded.report.no_copy + loaded.report.conflicts + loaded.report.above_ready, 0u);
        seen.insert(loaded.entries.size());
        EXPECT_TRUE(loaded.entries.size() == before ||
                    loaded.entries.size() == dmr_le64(spare.geometry.slots));
        OpenSpare again(spare);
        exhaust(again.table);
    }
    EXPECT_EQ(seen.size(), 2u);
}

// The superblock is older than the table: to initialise would be to destroy.
TEST(TableGrowth, UsedEntriesAboveTheEndAreNotTouched) {
    for (const int copy : {0, 1}) {
        FormattedSpare spare;
        OpenSpare open(spare);
        exhaust(open.table);
        const std::uint64_t above = open.table.ready() + 2;
        dmr_entry entry = initial_entry(spare.geometry, above);
        spare.put_entry(copy, above, entry);
        EXPECT_EQ(reload(spare).report.above_ready, 0u) << "initialised is not used";
        entry.sequence = dmr_to_le64(5u);
        spare.put_entry(copy, above, entry);
        EXPECT_EQ(reload(spare).report.above_ready, 1u);
        spare.log->take();
        EXPECT_FALSE(open.table.allocate());
        EXPECT_FALSE(open.table.allocate());
        EXPECT_EQ(spare.written(), Words{});
    }
}

TEST(TableGrowth, APageWithoutAnyGoodCopyEndsTheTableBeforeIt) {
    FormattedSpare spare;
    OpenSpare open(spare);
    exhaust(open.table);
    const std::uint64_t first_new = open.table.ready() / kPerPage;
    ASSERT_GE(spare.pages(), first_new + 3);
    const std::string bad = std::to_string(first_new + 2);
    spare.fail(Op::write, {"first " + bad, "second " + bad});
    EXPECT_TRUE(open.table.allocate());
    EXPECT_EQ(open.table.ready(), (first_new + 2) * kPerPage);
    EXPECT_EQ(reload(spare).report.no_copy, 0u);
    while (open.table.allocate()) {
    }
    EXPECT_EQ(open.table.ready(), (first_new + 2) * kPerPage);
}

TEST(TableGrowth, APageWithOneGoodCopyIsRetiredFromTheStart) {
    FormattedSpare spare;
    OpenSpare open(spare);
    exhaust(open.table);
    const std::uint64_t first_new = open.table.ready() / kPerPage;
    spare.fail(Op::write, {"second " + std::to_string(first_new)});
    EXPECT_EQ(open.table.allocate(), (first_new + 1) * kPerPage);
    EXPECT_TRUE(open.table.retired(first_new * kPerPage));
    EXPECT_EQ(open.table.counts().retired_pages, 1u);
}

// Nothing is wrong with what there is: only more can not be had.
TEST(TableGrowth, ASuperblockThatTakesNoWriteEndsTheTable) {
    FormattedSpare spare;
    OpenSpare open(spare);
    exhaust(open.table);
    const std::uint64_t ready = open.table.ready();
    spare.fail(Op::write, {"copy 0", "copy 1", "copy 2"});
    EXPECT_FALSE(open.table.allocate());
    EXPECT_FALSE(open.table.broken());
    EXPECT_EQ(open.table.counts().unusable, dmr_le64(spare.geometry.slots) - ready);
    spare.fail_nothing();
    EXPECT_EQ(open.claim(0, 5), CommitOutcome::durable);
    EXPECT_FALSE(open.table.allocate());
}

TEST(TableGrowth, ASpareThatDoesNotAnswerIsNotFull) {
    for (const Op op : {Op::read, Op::write}) {
        FormattedSpare spare;
        OpenSpare open(spare);
        exhaust(open.table);
        const std::string next = "first " + std::to_string(open.table.pages());
        for (const int answer : {ENOMEM, EAGAIN}) {
            spare.fail(op, {next}, answer);
            int error = 0;
            EXPECT_FALSE(open.table.allocate(error));
            EXPECT_EQ(error, answer);
        }
        spare.fail_nothing();
        EXPECT_FALSE(open.table.broken());
        EXPECT_TRUE(open.table.allocate());
    }
}

TEST(TableGrowth, AFailedFlushBreaksTheTable) {
    for (const unsigned flush : {1u, 2u, 3u}) {
        FormattedSpare spare;
        OpenSpare open(spare);
        exhaust(open.table);
        spare.fail_flush(flush);
        EXPECT_FALSE(open.table.allocate());
        EXPECT_TRUE(open.table.broken());
        spare.fail_nothing();
        reload(spare);
    }
}

// Against a model: no slot is handed out that is live, bad, superseded or reserved.
TEST(TableGrowth, TheAllocatorHandsOutOnlyWhatIsFree) {
    FormattedSpare spare;
    auto open = std::make_unique<OpenSpare>(spare);
    std::mt19937_64 rng(20240607);
    enum class Use { live, bad, superseded };
    std::map<std::uint64_t, Use> used;  // on disk
    std::set<std::uint64_t> reserved;
    std::uint64_t block = 0, reopened = 0;
    const auto any = [&](const auto& from) {
        auto at = from.begin();
        std::advance(at, static_cast<long>(rng() % from.size()));
        return at;
    };
    for (unsigned step = 0; step < 4000; step++) {
        const std::uint64_t dice = rng() % 100;
        if (dice < 55) {
            const auto slot = open->table.allocate();
            if (!slot) {
                EXPECT_EQ(used.size() + reserved.size(), dmr_le64(spare.geometry.slots));
                continue;
            }
            ASSERT_FALSE(used.contains(*slot)) << "step " << step << " slot " << *slot;
            ASSERT_TRUE(reserved.insert(*slot).second) << "step " << step << " slot " << *slot;
        } else if (dice < 60 && !reserved.empty()) {
            const auto slot = any(reserved);
            open->table.give_back(*slot);
            reserved.erase(slot);
        } else if (dice < 90 && !reserved.empty()) {
            const std::uint64_t slot = *any(reserved);
            const bool bad = rng() % 8 == 0;
            const std::uint64_t claimed = block++ % 1024;
            // An older claim on the same block gives way.
            std::optional<std::uint64_t> older;
            for (auto& [other, use] : used) {
                if (!bad && use == Use::live && other != slot &&
                    dmr_le64(open->table.entry(other).main_block) == claimed) {
                    older = other;
                    use = Use::superseded;
                }
            }
            ASSERT_EQ(bad ? open->erase(slot, DMR_BAD_SLOT) : open->claim(slot, claimed, 0, older),
                      CommitOutcome::durable);
            used[slot] = bad ? Use::bad : Use::live;
            reserved.erase(slot);
        } else if (dice < 99 && !used.empty()) {
            const auto at = any(used);
            if (at->second == Use::superseded) {
                ASSERT_EQ(open->erase(at->first), CommitOutcome::durable);
                used.erase(at);
            }
        } else if (dice == 99) {
            reserved.clear();
            open = std::make_unique<OpenSpare>(spare);
            std::uint64_t pages = 0, claims = 0;
            ASSERT_EQ(open->table.repair(pages, claims), 0);
            std::erase_if(used, [](const auto& u) { return u.second == Use::superseded; });
            reopened++;
        }
    }
    EXPECT_GT(reopened, 10u);
    std::uint64_t live = 0, bad = 0;
    for (const auto& [slot, use] : used) {
        live += use == Use::live ? 1 : 0;
        bad += use == Use::bad ? 1 : 0;
    }
    EXPECT_EQ(open->table.counts().used, live);
    EXPECT_EQ(open->table.counts().bad, bad);
}

}  // namespace
}  // namespace dmremap::test
