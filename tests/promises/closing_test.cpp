// SPDX-License-Identifier: GPL-2.0-or-later
// What closing promises: the clean mark is the last that is written, when all else is durable, and
// only when nothing failed. The next opener believes it: main is as the witness says, the table is
// the mapping.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "tests/support/test_pair.h"

namespace dmremap::test {

namespace {

bool marked_clean(const TestPair& pair) {
    return (dmr_le32(pair.superblock().flags) & DMR_CLEAN) != 0;
}

// Nobody asked for a flush. The power goes off as soon as it is closed.
TEST(Promises, P2_WhatWasWrittenIsDurableBeforeTheCleanMark) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.set_cache(true);
    pair.open();
    pair.main->set_fault(80, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 0, 16, 2), 0);  // where the witness looks, too
    ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 3), 0);  // in its slot, which no commit flushes
    pair.close();
    pair.crash();
    ASSERT_TRUE(marked_clean(pair));
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, 0, 16), pattern(0, 16, 2));
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 3));
}

// What is on the table is not what the mapping in memory says: its count of remaps may be wrong.
TEST(Promises, P2_AFencedBlockKeepsTheSpareFromBeingMarkedClean) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    pair.main->set_fault(80, 8, Fault{.write = true});
    pair.spare->set_hook([&pair](const Call& call) {
        return call.op == Op::write && pair.table_copy(call.offset) == 0 ? EIO : Medium::kPass;
    });
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), EIO);
    EXPECT_TRUE(pair.has_cause("commit_failed"));
    pair.spare->set_hook(nullptr);
    EXPECT_NE(pair.disk->close(), 0);
    pair.disk.reset();
    EXPECT_FALSE(marked_clean(pair));
    pair.open();
    EXPECT_EQ(pair.disk->status().state, State::healthy);
}

// A page that is owed a copy says in one copy what memory does not.
TEST(Promises, P2_APageThatIsOwedACopyKeepsTheSpareFromBeingMarkedClean) {
    for (const bool room_again : {false, true}) {
        TestPair pair;
        pair.fill_main(1);
        pair.format();
        pair.open();
        pair.main->set_fault(80, 8, Fault{.write = true});
        pair.spare->set_hook([&pair](const Call& call) {
            return call.op == Op::write && pair.table_copy(call.offset) == 1 ? ENOSPC
                                                                             : Medium::kPass;
        });
        EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), ENOSPC) << "in one copy";
        EXPECT_EQ(pair.disk->flush(), ENOSPC) << "which is not what a flush promises";
        EXPECT_TRUE(pair.has_cause("spare_fs_full"));
        if (room_again) pair.spare->set_hook(nullptr);
        EXPECT_EQ(pair.disk->close(), room_again ? 0 : ENOSPC);
        pair.disk.reset();
        pair.spare->set_hook(nullptr);
        EXPECT_EQ(marked_clean(pair), room_again);
        pair.open();
        EXPECT_EQ(pair.saw(EventKind::recovered), !room_again);
        EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 2));
    }
}

// While it lives, main's or the spare's flushes fail.
class FailingFlushes {
public:
    FailingFlushes(TestPair& pair, bool of_main) : medium_(of_main ? *pair.main : *pair.spare) {
        medium_.set_hook(
            [](const Call& call) { return call.op == Op::flush ? EIO : Medium::kPass; });
    }
    ~FailingFlushes() { medium_.set_hook(nullptr); }

private:
    Medium& medium_;
};

void written(TestPair& pair) {
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(write_sectors(*pair.disk, 0, 16, 2), 0);
}

TEST(Promises, P2_AFlushThatFailsAtTheEndKeepsTheSpareFromBeingMarkedClean) {
    for (const bool of_main : {true, false}) {
        TestPair pair;
        written(pair);
        {
            const FailingFlushes failing(pair, of_main);
            EXPECT_NE(pair.disk->close(), 0);
            EXPECT_NE(pair.disk->close(), 0) << "the second answer is the first";
            pair.disk.reset();
        }
        EXPECT_FALSE(marked_clean(pair));
        pair.open();
        EXPECT_EQ(read_sectors(*pair.disk, 0, 16), pattern(0, 16, 2));
    }
}

// Flushes succeed again afterwards, which says nothing of what the failed one was to make durable.
TEST(Promises, P2_AFlushThatFailedOnceKeepsTheSpareFromBeingMarkedClean) {
    for (const bool of_main : {true, false}) {
        TestPair pair;
        written(pair);
        {
            const FailingFlushes failing(pair, of_main);
            EXPECT_EQ(pair.disk->flush(), EIO);
        }
        EXPECT_NE(pair.disk->close(), 0);
        pair.disk.reset();
        EXPECT_FALSE(marked_clean(pair));
    }
}

// The slot that a block has left is due to be erased by the next commit; there is none any more.
TEST(Promises, P2_OnceAFlushFailedNothingIsWrittenAtTheEnd) {
    TestPair pair;
    written(pair);
    pair.main->set_fault(80, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    pair.spare->set_fault(pair.remap_of(10)->spare_sector, 8, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 3), 0);  // to another slot
    {
        const FailingFlushes failing(pair, true);
        EXPECT_EQ(pair.disk->flush(), EIO);
    }
    const auto log = std::make_shared<Medium::Log>();
    pair.spare->set_log(log);
    EXPECT_NE(pair.disk->close(), 0);
    pair.disk.reset();
    pair.spare->set_log(nullptr);
    for (const Call& call : log->take()) EXPECT_NE(call.op, Op::write) << call.offset;
    pair.spare->heal_all();
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 3));
}

}  // namespace

}  // namespace dmremap::test
