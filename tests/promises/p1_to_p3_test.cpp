// SPDX-License-Identifier: GPL-2.0-or-later
// P1 to P3: what is read is what was written; what was acknowledged is kept; a crash at any call,
// also of the recovery, is just a crash.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>

#include "core/device/fault_device.h"
#include "core/refusal.h"
#include "tests/promises/crash.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

TEST(Promises, P1_NoLie) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.plan->apply("main bad read 1003\n");
    pair.open();
    // The lost sector is EIO, its neighbours are whole, first and later and after a remount.
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(read_sectors(*pair.disk, 1000, 3), pattern(1000, 3, 1));
        read_sectors(*pair.disk, 1003, 1, EIO);
        read_sectors(*pair.disk, 1000, 8, EIO);
        EXPECT_EQ(read_sectors(*pair.disk, 1004, 4), pattern(1004, 4, 1));
        if (round == 1) pair.reopen();
    }
    // It reads only after it was written, and then as written.
    EXPECT_EQ(write_sectors(*pair.disk, 1003, 1, 2), 0);
    EXPECT_EQ(read_sectors(*pair.disk, 1003, 1), pattern(1003, 1, 2));
    EXPECT_EQ(read_sectors(*pair.disk, 1000, 3), pattern(1000, 3, 1));
    pair.reopen();
    EXPECT_EQ(read_sectors(*pair.disk, 1003, 1), pattern(1003, 1, 2));
}

TEST(Promises, P1_StaleMainIsNeverRead) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.plan->apply("main bad write 2000\n");
    pair.open();
    EXPECT_EQ(write_sectors(*pair.disk, 2000, 8, 2), 0);
    pair.plan->apply("main clear\n");  // main reads well, and holds the old data
    EXPECT_EQ(read_sectors(*pair.disk, 1992, 24).size(), 24 * kSector);
    EXPECT_EQ(read_sectors(*pair.disk, 2000, 8), pattern(2000, 8, 2));
    EXPECT_EQ(write_sectors(*pair.disk, 2001, 1, 3), 0);
    pair.reopen();
    EXPECT_EQ(read_sectors(*pair.disk, 2001, 1), pattern(2001, 1, 3));
    EXPECT_EQ(read_sectors(*pair.disk, 2002, 6), pattern(2002, 6, 2));
}

TEST(Promises, P1_PartOfALostSectorIsNotMadeUp) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.plan->apply("main bad all 1003\n");
    pair.open();
    read_sectors(*pair.disk, 1003, 1, EIO);
    const auto few = zeros(100);
    EXPECT_EQ(pair.disk->write(1003 * kSector + 7, few.data(), few.size()), EIO);
    read_sectors(*pair.disk, 1003, 1, EIO);
    EXPECT_EQ(pair.disk->write(1002 * kSector + 7, few.data(), few.size()), 0);
}

TEST(Promises, P1_OddBytesOfALostSectorAreAnError) {
    constexpr std::uint64_t kFrom = 1003 * kSector, kTo = 1004 * kSector;  // what is lost
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.plan->apply("main bad all 1003\n");
    pair.open();
    read_sectors(*pair.disk, 1003, 1, EIO);
    const auto original = pattern(1000, 16, 1);
    const auto read = [&](std::uint64_t begin, std::uint64_t end) {
        std::vector<std::byte> data(end - begin);
        const int error = pair.disk->read(begin, data.data(), data.size());
        if (error == 0) {
            const auto at = original.begin() + static_cast<std::ptrdiff_t>(begin - 1000 * kSector);
            EXPECT_TRUE(std::equal(data.begin(), data.end(), at)) << begin << " to " << end;
        }
        return error;
    };
    EXPECT_EQ(read(kFrom - 700, kFrom + 1), EIO);
    EXPECT_EQ(read(kFrom + 200, kFrom + 201), EIO);
    EXPECT_EQ(read(kTo - 1, kTo), EIO);
    EXPECT_EQ(read(kTo - 1, kTo + 3000), EIO);
    EXPECT_EQ(read(1000 * kSector + 1, 1016 * kSector - 1), EIO);
    EXPECT_EQ(read(kFrom - 700, kFrom), 0);
    EXPECT_EQ(read(kFrom - 1, kFrom), 0);
    EXPECT_EQ(read(kTo, kTo + 1), 0);
    EXPECT_EQ(read(kTo, kTo + 3000), 0);
}

TEST(Promises, P2_AFlushThatFailsStaysFailed) {
    for (const char* role : {"main", "spare"}) {
        SCOPED_TRACE(role);
        TestPair pair;
        pair.fill_main(1);
        pair.format();
        pair.open();
        // Both devices hold something that was not flushed.
        pair.plan->apply("main bad write 80+8\n");
        EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
        EXPECT_EQ(write_sectors(*pair.disk, 72, 16, 2), 0);
        pair.plan->apply(std::string(role) + " fail flush 1\n");
        EXPECT_NE(pair.disk->flush(), 0);
        EXPECT_NE(pair.disk->flush(), 0);
        EXPECT_TRUE(pair.saw(EventKind::flush_failed));
        EXPECT_TRUE(pair.has_cause("flush_failed"));
        EXPECT_EQ(pair.disk->status().state, State::read_only);
        EXPECT_EQ(write_sectors(*pair.disk, 16, 8, 2), EROFS);
        EXPECT_NE(pair.disk->flush(), 0);
        EXPECT_EQ(read_sectors(*pair.disk, 16, 8), pattern(16, 8, 1));
        pair.disk->close();
        pair.disk.reset();
        pair.open();
        EXPECT_EQ(pair.disk->flush(), 0);
        EXPECT_EQ(pair.disk->status().state, State::healthy);
    }
}

// As O_DSYNC wants it, whether it goes to main, to a slot, to both or is moved on the way.
TEST(Promises, P2_ADurableWriteIsKept) {
    constexpr std::uint64_t kFirst = 72, kCount = 24;  // of three blocks the second moves
    for (const Op op : {Op::write, Op::zero}) {
        for (const bool moved_before : {false, true}) {
            SCOPED_TRACE(std::string(op_name(op)) + (moved_before ? ", moved before" : ""));
            TestPair pair;
            pair.fill_main(1);
            pair.format();
            pair.plan->apply("main bad write 80+8\n");
            pair.open();
            if (moved_before) {
                ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
            }
            pair.set_cache(true);
            EXPECT_EQ(Pending(*pair.disk, op, kFirst * kSector, pattern(kFirst, kCount, 3),
                              Pending::Durable::yes)
                          .wait(),
                      0);
            pair.crash();
            pair.open();
            EXPECT_EQ(read_sectors(*pair.disk, kFirst, kCount),
                      op == Op::zero ? zeros(kCount * kSector) : pattern(kFirst, kCount, 3));
        }
    }
}

TEST(Promises, P2_ADurableWriteFailsWithItsFlush) {
    for (const char* role : {"main", "spare"}) {
        SCOPED_TRACE(role);
        TestPair pair;
        pair.format();
        pair.open();
        pair.plan->apply(std::string(role) + " fail flush 1\n");
        EXPECT_EQ(Pending(*pair.disk, Op::write, 0, pattern(0, 8, 1), Pending::Durable::yes).wait(),
                  EIO);
        EXPECT_EQ(pair.disk->status().state, State::read_only);
    }
}

// Another flush that fails for that reason ends no sooner than the state says why.
TEST(Promises, P2_WhoHearsOfAFailedFlushFindsTheStateChanged) {
    for (const char* role : {"main", "spare"}) {
        SCOPED_TRACE(role);
        TestPair pair;
        pair.format();
        std::unique_ptr<Disk> disk;
        std::thread other;
        std::atomic<bool> heard{false};
        State seen = State::healthy;
        OpenOptions options;
        options.on_event = [&](const Event& event) {
            if (event.kind != EventKind::flush_failed) return;
            other = std::thread([&] {
                EXPECT_EQ(disk->flush(), EIO);
                seen = disk->status().state;
                heard = true;
            });
            give_a_bug_time([&heard] { return heard.load(); });
        };
        disk = Disk::open(make_fault_device(pair.main->device(), "main", pair.plan),
                          make_fault_device(pair.spare->device(), "spare", pair.plan), options);
        pair.plan->apply(std::string(role) + " fail flush 1\n");
        EXPECT_EQ(disk->flush(), EIO);
        ASSERT_TRUE(other.joinable());
        other.join();
        EXPECT_EQ(seen, State::read_only);
    }
}

// The calls of the whole history, so that the tests below know where to cut.
std::uint64_t calls_of_history() {
    const auto pair = bad_pair();
    pair->open();
    const std::uint64_t before = pair->power->calls();
    Ledger ledger;
    EXPECT_TRUE(history(*pair, ledger));
    return pair->power->calls() - before;
}

TEST(Promises, P2_AcknowledgedIsKept) {
    const std::uint64_t calls = calls_of_history();
    ASSERT_GT(calls, 20u);
    for (std::uint64_t cut = 1; cut <= calls + 1; ++cut) {
        // Once all that was not flushed is gone, then some of it, by chance.
        for (std::uint64_t seed = 0; seed < 4; ++seed) {
            SCOPED_TRACE("power off at call " + std::to_string(cut) + ", seed " +
                         std::to_string(seed));
            const auto pair = bad_pair();
            pair->open();
            Ledger ledger;
            pair->power->cut_at(cut);
            history(*pair, ledger);
            std::mt19937_64 chance(seed);
            pair->crash(seed ? &chance : nullptr);
            ASSERT_NO_THROW(pair->open());
            expect_ledger(*pair, ledger);
            if (testing::Test::HasFailure()) return;
        }
    }
}

// A relocation is durable when it is acknowledged; no flush is needed for it to be found.
TEST(Promises, P2_ARelocationIsDurableWhenAcknowledged) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.plan->apply("main bad write 80+8\n");
    pair.open();
    pair.set_cache(true);
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    pair.crash();
    pair.open();
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 2));
    EXPECT_TRUE(pair.remap_of(10).has_value());
}

// A block moves to another slot, and the power goes off at each call in turn. Its old and its new
// entry lie in one page, but in different sectors of it, so that a cut may keep either alone.
TEST(Promises, P2_AMoveSurvivesATornPage) {
    constexpr std::uint64_t kFill = kSector / DMR_ENTRY_SIZE;
    bool moved = false, kept = false;
    for (std::uint64_t cut = 1;; ++cut) {
        for (std::uint64_t seed = 0; seed < 8; ++seed) {
            SCOPED_TRACE("power off at call " + std::to_string(cut) + ", seed " +
                         std::to_string(seed));
            TestPair pair;
            pair.fill_main(1);
            pair.format();
            pair.set_cache(true);
            pair.open();
            pair.main->set_fault(80, 8 * kFill, Fault{.write = true});
            ASSERT_EQ(write_sectors(*pair.disk, 80, 8 * kFill, 2), 0);
            ASSERT_EQ(pair.disk->flush(), 0);
            const std::uint64_t slot = pair.remap_of(10)->slot;
            pair.spare->set_fault(pair.remap_of(10)->spare_sector, 8, Fault{.write = true});
            pair.power->cut_at(cut);
            const bool written = write_sectors(*pair.disk, 80, 8, 3) == 0;
            if (!pair.power->off()) {
                EXPECT_TRUE(moved);
                EXPECT_TRUE(kept);
                return;
            }
            std::mt19937_64 chance(seed);
            pair.crash(&chance);
            ASSERT_NO_THROW(pair.open());
            const auto remap = pair.remap_of(10);
            ASSERT_TRUE(remap);
            (remap->slot == slot ? kept : moved) = true;
            const auto got = read_sectors(*pair.disk, 80, 8);
            EXPECT_TRUE(got == pattern(80, 8, 3) || (!written && got == pattern(80, 8, 2)));
            EXPECT_EQ(pair.remaps().size(), kFill);
            if (testing::Test::HasFailure()) return;
        }
    }
}

TEST(Promises, P3_ACrashDuringRecoveryIsJustAnotherCrash) {
    const std::uint64_t calls = calls_of_history();
    for (std::uint64_t cut = 3; cut <= calls; cut += 5) {
        for (std::uint64_t second = 1;; ++second) {
            SCOPED_TRACE("power off at call " + std::to_string(cut) + ", then at call " +
                         std::to_string(second) + " of opening");
            const auto pair = bad_pair();
            pair->open();
            Ledger ledger;
            pair->power->cut_at(cut);
            history(*pair, ledger);
            std::mt19937_64 chance(cut * 1000 + second);
            pair->crash(&chance);
            pair->power->cut_at(second);
            bool opened = true;
            try {
                pair->open();
            } catch (const Refusal&) {
                opened = false;
            }
            const bool whole = opened && !pair->power->off();
            pair->crash(&chance);
            ASSERT_NO_THROW(pair->open());
            expect_ledger(*pair, ledger);
            if (testing::Test::HasFailure()) return;
            if (whole) break;
        }
    }
}

// Nothing of a recovery is left to do at the next opening.
TEST(Promises, P3_OpeningTwiceRepairsNothingMore) {
    const auto pair = bad_pair();
    pair->open();
    Ledger ledger;
    pair->power->cut_at(calls_of_history() / 2);
    history(*pair, ledger);
    std::mt19937_64 chance(1);
    pair->crash(&chance);
    pair->open();
    const std::size_t remaps = pair->remaps().size();
    pair->crash();
    pair->open();
    EXPECT_EQ(pair->remaps().size(), remaps);
    expect_ledger(*pair, ledger);
}

}  // namespace
}  // namespace dmremap::test
