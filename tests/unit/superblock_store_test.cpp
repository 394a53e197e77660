// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/superblock_store.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

Shape with_copies(unsigned copies) {
    Shape shape;
    shape.spare_size = copies == 3 ? 8ull << 20 : 66ull << 20;
    return shape;
}

// The same superblock with another label, as something to tell an update by.
dmr_superblock labelled(const dmr_superblock& sb, char label) {
    dmr_superblock next = sb;
    next.label[0] = static_cast<std::uint8_t>(label);
    return next;
}

SuperblockScan scan(const FormattedSpare& spare) {
    const auto device = spare.spare->device();
    return scan_superblocks(*device);
}

char label_found(const FormattedSpare& spare) {
    const SuperblockScan found = scan(spare);
    EXPECT_EQ(found.fatal, "");
    return found.current ? static_cast<char>(found.current->label[0]) : '?';
}

int write(FormattedSpare& spare, char label, std::uint64_t skip = 1) {
    const auto device = spare.spare->device();
    SuperblockStore store(*device, scan_superblocks(*device));
    spare.log->take();
    return store.write(labelled(store.current(), label), skip);
}

TEST(SuperblockStore, HalfIsDurableBeforeTheOtherIsTouched) {
    FormattedSpare three(with_copies(3));
    EXPECT_EQ(write(three, 'a'), 0);
    EXPECT_EQ(three.written(), (Words{"flush", "copy 0", "flush", "copy 1", "copy 2", "flush"}));
    FormattedSpare four(with_copies(4));
    ASSERT_EQ(four.copies, 4u);
    EXPECT_EQ(write(four, 'a'), 0);
    EXPECT_EQ(four.written(),
              (Words{"flush", "copy 0", "copy 1", "flush", "copy 2", "copy 3", "flush"}));
    for (const SuperblockCopy& copy : scan(four).copies) {
        EXPECT_TRUE(copy.newest);
    }
}

TEST(SuperblockStore, BadAndStaleCopiesAreWrittenFirst) {
    FormattedSpare spare;
    const dmr_superblock stale = spare.copy(1);
    EXPECT_EQ(write(spare, 'a'), 0);
    spare.garble_copy(2);
    spare.put_copy(1, stale);
    EXPECT_EQ(label_found(spare), 'a');
    EXPECT_EQ(write(spare, 'b'), 0);
    EXPECT_EQ(spare.written(), (Words{"flush", "copy 1", "copy 2", "flush", "copy 0", "flush"}));
    EXPECT_EQ(label_found(spare), 'b');
}

TEST(SuperblockStore, AnyOneCopyIsEnough) {
    for (const unsigned copies : {3u, 4u}) {
        for (unsigned good = 0; good < copies; good++) {
            FormattedSpare spare(with_copies(copies));
            EXPECT_EQ(write(spare, 'a'), 0);
            for (unsigned i = 0; i < copies; i++) {
                if (i != good) {
                    spare.garble_copy(i);
                }
            }
            EXPECT_EQ(label_found(spare), 'a');
            EXPECT_EQ(write(spare, 'b'), 0);
            EXPECT_EQ(spare.written().back(), "flush");
            for (const SuperblockCopy& copy : scan(spare).copies) {
                EXPECT_TRUE(copy.newest);
            }
        }
    }
}

TEST(SuperblockStore, TheLastGoodCopyIsNeverUnderThePen) {
    FormattedSpare spare;
    EXPECT_EQ(write(spare, 'a'), 0);
    spare.garble_copy(0);
    spare.garble_copy(2);
    spare.fail(Op::write, {"copy 0", "copy 2"});
    EXPECT_EQ(write(spare, 'b'), EIO);
    EXPECT_EQ(spare.written(), Words{"flush"});
    EXPECT_EQ(label_found(spare), 'a');
}

TEST(SuperblockStore, AFailedFlushLeavesTheOtherHalfAlone) {
    FormattedSpare spare;
    spare.fail_flush(1);
    EXPECT_EQ(write(spare, 'x'), EIO);
    EXPECT_EQ(spare.written(), Words{});  // what was found may not be durable: nothing is touched
    spare.fail_flush(2);
    EXPECT_EQ(write(spare, 'a'), EIO);
    EXPECT_EQ(spare.written(), (Words{"flush", "copy 0"}));
    spare.fail_flush(3);
    EXPECT_EQ(write(spare, 'b'), EIO);
    // Copies 1 and 2 are stale by now.
    EXPECT_EQ(spare.written(), (Words{"flush", "copy 1", "copy 2", "flush", "copy 0"}));
}

TEST(SuperblockStore, ACopyThatTakesNoWritesIsCounted) {
    FormattedSpare spare;
    spare.fail(Op::write, {"copy 2"});
    const auto device = spare.spare->device();
    SuperblockStore store(*device, scan_superblocks(*device));
    EXPECT_EQ(store.write(labelled(store.current(), 'a')), 0);
    EXPECT_EQ(store.bad_copies(), 1u);
    spare.fail_nothing();
    EXPECT_EQ(store.write(labelled(store.current(), 'b')), 0);
    EXPECT_EQ(store.bad_copies(), 0u);
}

// The power goes off at each call in turn; the copy under the pen is kept, dropped or garbled.
TEST(SuperblockStore, P3_ACrashLeavesTheOldOneOrTheNewOne) {
    for (const unsigned copies : {3u, 4u}) {
        for (std::uint64_t cut = 1;; cut++) {
            int result = 0;
            for (unsigned seed = 0; seed < 6; seed++) {
                SCOPED_TRACE(std::to_string(copies) + " copies, call " + std::to_string(cut) +
                             ", seed " + std::to_string(seed));
                FormattedSpare spare(with_copies(copies));
                ASSERT_EQ(write(spare, 'a'), 0);
                spare.set_cache(true);
                {
                    const auto device = spare.spare->device();
                    SuperblockStore store(*device, scan_superblocks(*device));
                    spare.log->take();
                    spare.power->cut_at(cut);
                    result = store.write(labelled(store.current(), 'b'));
                }
                Words done = spare.written();
                std::mt19937_64 rng(seed);
                spare.spare->lose(&rng);
                spare.power->on();
                for (; seed % 2 == 1 && !done.empty() && done.back() != "flush"; done.pop_back()) {
                    spare.garble_copy(static_cast<unsigned>(done.back().back() - '0'));
                }
                const char found = label_found(spare);
                EXPECT_TRUE(found == 'a' || found == 'b') << found;
                EXPECT_TRUE(result != 0 || found == 'b') << "reported, but not there";
                ASSERT_EQ(write(spare, 'c', kSequenceSkip), 0);
                EXPECT_EQ(label_found(spare), 'c');
            }
            if (result == 0) {
                EXPECT_EQ(cut, copies + 4);
                break;
            }
        }
    }
}

// A writer was killed after its first half: the next one reads that half back from the drive's
// cache, and the power goes off while it writes.
TEST(SuperblockStore, P3_WhatWasFoundIsMadeDurableBeforeAnythingIsWritten) {
    for (std::uint64_t cut = 1; cut <= 8; cut++) {
        for (unsigned seed = 0; seed < 16; seed++) {
            SCOPED_TRACE(std::to_string(cut) + " " + std::to_string(seed));
            FormattedSpare spare;
            ASSERT_EQ(write(spare, 'a'), 0);
            spare.set_cache(true);
            {
                const auto device = spare.spare->device();
                SuperblockStore killed(*device, scan_superblocks(*device));
                spare.power->cut_at(3);  // flush, copy 0
                EXPECT_NE(killed.write(labelled(killed.current(), 'b')), 0);
                spare.power->on();
                SuperblockStore next(*device, scan_superblocks(*device));
                spare.power->cut_at(cut);
                next.write(labelled(next.current(), 'c'), kSequenceSkip);
            }
            std::mt19937_64 rng(seed);
            spare.spare->lose(&rng);
            spare.power->on();
            EXPECT_TRUE(scan(spare).current) << "no copy is whole";
        }
    }
}

// An update that only a copy holds which could not be read: the next opener's number is above it,
// whether it was a session's or the first one of an opener that was cut off.
TEST(SuperblockStore, AnUpdateNobodySawDoesNotComeBack) {
    for (const std::uint64_t ahead : {std::uint64_t{1}, kSequenceSkip}) {
        FormattedSpare spare;
        ASSERT_EQ(write(spare, 'a'), 0);
        spare.put_copy(0, [&] {
            dmr_superblock unseen = labelled(spare.copy(0), 'u');
            unseen.sequence = dmr_to_le64(dmr_le64(unseen.sequence) + ahead);
            return unseen;
        }());
        Fault fault;
        fault.read = fault.write = true;
        spare.spare->set_fault(dmr_copy_offsets[0] / kSector, 8, fault);
        EXPECT_EQ(label_found(spare), 'a');
        {
            const auto device = spare.spare->device();
            SuperblockStore next(*device, scan_superblocks(*device));
            EXPECT_EQ(next.write(labelled(next.current(), 'b'), next.opening_skip()), 0);
        }
        spare.spare->heal_all();
        EXPECT_EQ(label_found(spare), 'b');
        EXPECT_EQ(write(spare, 'c'), 0);
        EXPECT_EQ(label_found(spare), 'c');
    }
}

// What was refused may have landed, so each failed update uses up a number; they end before an
// opener that cannot read that copy would stay below it.
TEST(SuperblockStore, FailedUpdatesEndBeforeAnOpenerStaysBelowThem) {
    FormattedSpare spare;
    const auto device = spare.spare->device();
    SuperblockStore store(*device, scan_superblocks(*device));
    const std::uint64_t start = dmr_le64(store.current().sequence);
    const auto fail_all = [&](std::uint64_t times) {
        spare.fail(Op::write, {"copy 0", "copy 1", "copy 2"});
        for (std::uint64_t i = 0; i < times; i++) {
            EXPECT_FALSE(store.given_up());
            EXPECT_EQ(store.write(labelled(store.current(), 'f')), EIO);
        }
        spare.fail_nothing();
    };
    fail_all(kFailedUpdates - 1);
    EXPECT_EQ(store.write(labelled(store.current(), 'a')), 0) << "which begins the count anew";
    EXPECT_EQ(dmr_le64(store.current().sequence), start + kFailedUpdates);
    fail_all(kFailedUpdates);
    EXPECT_TRUE(store.given_up());
    spare.log->take();
    EXPECT_EQ(store.write(labelled(store.current(), 'g')), EIO);
    EXPECT_EQ(spare.written(), Words{});
    EXPECT_EQ(dmr_le64(store.current().sequence), start + 2 * kFailedUpdates);
    EXPECT_EQ(label_found(spare), 'a');
    // The last of them landed on a copy that the next opener, then one that is cut off, met.
    const dmr_superblock landed = store.current();
    const dmr_superblock durable = *scan(spare).current;
    dmr_superblock opener = landed;
    opener.sequence = dmr_to_le64(dmr_le64(landed.sequence) + kSequenceSkip);
    spare.put_copy(0, labelled(opener, 'o'));
    Fault fault;
    fault.read = fault.write = true;
    spare.spare->set_fault(dmr_copy_offsets[0] / kSector, 8, fault);
    SuperblockStore next(*device, scan_superblocks(*device));
    EXPECT_EQ(next.current().sequence, durable.sequence);
    EXPECT_EQ(next.write(labelled(next.current(), 'n'), next.opening_skip()), 0);
    spare.spare->heal_all();
    EXPECT_EQ(label_found(spare), 'n');
}

TEST(SuperblockStore, P7_CopiesOfTwoSparesAreRefused) {
    FormattedSpare spare;
    dmr_superblock other = spare.copy(2);
    other.uuid[3] ^= 1;
    spare.put_copy(2, other);
    EXPECT_EQ(scan(spare).fatal, "superblock copies of two different spares");
    other.sequence = dmr_to_le64(dmr_le64(other.sequence) + 9);
    spare.put_copy(2, other);
    EXPECT_EQ(scan(spare).fatal, "superblock copies of two different spares");
}

TEST(SuperblockStore, P4_TwoContentsOfOneSequenceAreRefused) {
    for (unsigned copy = 0; copy < 3; copy++) {
        FormattedSpare spare;
        spare.put_copy(copy, labelled(spare.copy(copy), 'z'));
        EXPECT_EQ(scan(spare).fatal, "two superblock copies of one sequence differ");
    }
}

// Wherever the two lie, and also where a third copy is newer than both.
TEST(SuperblockStore, P4_TwoContentsOfAnOlderSequenceAreRefused) {
    for (unsigned newest = 0; newest < 3; newest++) {
        FormattedSpare spare;
        dmr_superblock sb = labelled(spare.copy(newest), 'n');
        sb.sequence = dmr_to_le64(dmr_le64(sb.sequence) + 1);
        spare.put_copy(newest, sb);
        const unsigned other = (newest + 1) % 3;
        spare.put_copy(other, labelled(spare.copy(other), 'z'));
        EXPECT_EQ(scan(spare).fatal, "two superblock copies of one sequence differ");
    }
}

TEST(SuperblockStore, ACopyOfAnUnknownVersionOrFeatureIsRefused) {
    FormattedSpare spare;
    dmr_superblock sb = spare.copy(1);
    sb.version = dmr_to_le32(DMR_VERSION + 1);
    spare.put_copy(1, sb);
    EXPECT_EQ(scan(spare).fatal, "a superblock copy is of unknown version");
    sb = spare.copy(0);
    sb.incompat = dmr_to_le32(4u);
    spare.put_copy(1, sb);
    EXPECT_EQ(scan(spare).fatal, "a superblock copy is of unknown features");
}

TEST(SuperblockStore, ScanningSaysOfEachCopyWhatItIs) {
    FormattedSpare spare(with_copies(4));
    const dmr_superblock stale = spare.copy(3);
    ASSERT_EQ(write(spare, 'a'), 0);
    Fault unreadable;
    unreadable.read = true;
    spare.spare->set_fault(dmr_copy_offsets[0] / kSector, 1, unreadable);
    spare.spare->poke(dmr_copy_offsets[1], zeros(4096).data(), 4096);
    spare.put_copy(3, stale);
    spare.log->take();
    const SuperblockScan found = scan(spare);
    EXPECT_EQ(found.copies[0].read_error, EIO);
    EXPECT_EQ(found.copies[1].verdict, DMR_NOT_OURS);
    EXPECT_EQ(found.copies[2].verdict, DMR_OK);
    EXPECT_EQ(found.copies[3].verdict, DMR_OK);
    EXPECT_LT(found.copies[3].sequence, found.copies[2].sequence);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(found.copies[i].newest, i == 2) << i;
    }
    EXPECT_EQ(spare.written(), Words{}) << "looking is not writing";
}

TEST(SuperblockStore, WithoutAnyCopyThereIsNone) {
    FormattedSpare spare;
    for (unsigned i = 0; i < 3; i++) {
        spare.spare->poke(dmr_copy_offsets[i] + 100, "x", 1);
    }
    EXPECT_FALSE(scan(spare).current);
    EXPECT_EQ(scan(spare).copies[1].verdict, DMR_BAD_CRC);
}

}  // namespace
}  // namespace dmremap::test
