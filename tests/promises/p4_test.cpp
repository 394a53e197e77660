// SPDX-License-Identifier: GPL-2.0-or-later
// P4: any one copy of any metadata may be bad in any way; it is detected, the good copy wins, the
// bad one is rewritten. Without any good copy the pair does not open, and nothing is written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "core/meta/examine.h"
#include "core/meta/format_spare.h"
#include "core/refusal.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kRemaps = 5;

// A closed pair with some remaps, and the spare as it was before the last of them.
struct Prepared {
    TestPair pair;
    std::vector<std::byte> earlier;

    Prepared() {
        pair.fill_main(1);
        pair.format();
        pair.open();
        for (std::uint64_t i = 0; i < kRemaps; ++i) {
            const std::string sector = std::to_string(800 + 8 * i);
            pair.plan->apply("main bad write " + sector + "+8\n");
            if (i == kRemaps - 1) {
                pair.close();
                earlier = pair.spare->snapshot();
                pair.open();
            }
            EXPECT_EQ(write_sectors(*pair.disk, 800 + 8 * i, 8, 2), 0);
        }
        pair.close();
    }

    void expect_data() {
        EXPECT_EQ(pair.remaps().size(), kRemaps);
        EXPECT_EQ(read_sectors(*pair.disk, 800, 8 * kRemaps), pattern(800, 8 * kRemaps, 2));
        EXPECT_EQ(read_sectors(*pair.disk, 792, 8), pattern(792, 8, 1));
    }
};

const char* const kDamages[] = {"unreadable", "zeroed", "garbled", "torn", "stale"};

void damage(Prepared& prepared, const std::string& how, std::uint64_t offset,
            std::uint64_t length) {
    Medium& spare = *prepared.pair.spare;
    if (how == "unreadable") {
        Fault fault;
        fault.read = fault.heals = true;
        spare.set_fault(offset / kSector, length / kSector, fault);
    } else if (how == "zeroed") {
        spare.poke(offset, zeros(length).data(), length);
    } else if (how == "garbled") {
        spare.poke(offset, pattern(77, length / kSector, 9).data(), length);
    } else if (how == "torn") {
        spare.poke(offset, pattern(77, 1, 9).data(), kSector);
    } else {
        spare.poke(offset, prepared.earlier.data() + offset, length);
    }
}

void expect_repaired(TestPair& pair) {
    EXPECT_FALSE(pair.spare->has_faults()) << "the unreadable copy was not rewritten";
    const auto device = pair.spare->device();
    const SpareReport report = examine_spare(*device, true);
    EXPECT_TRUE(report.fatal.empty());
    EXPECT_TRUE(report.repairable.empty()) << "still to repair: " << report.repairable.front();
    for (const SuperblockCopy& copy : report.copies) EXPECT_EQ(copy.verdict, DMR_OK);
}

TEST(Promises, P4_OneBadSuperblockCopyCostsNothing) {
    for (const char* how : kDamages) {
        for (unsigned copy = 0; copy < dmr_copies(Shape{}.spare_size); ++copy) {
            SCOPED_TRACE(std::string(how) + " superblock copy " + std::to_string(copy));
            Prepared prepared;
            damage(prepared, how, dmr_copy_offsets[copy], DMR_SUPERBLOCK_SIZE);
            ASSERT_NO_THROW(prepared.pair.open());
            prepared.expect_data();
            prepared.pair.close();
            expect_repaired(prepared.pair);
        }
    }
}

TEST(Promises, P4_AllButOneSuperblockCopyBadCostsNothing) {
    for (const char* how : {"zeroed", "garbled", "stale"}) {
        for (unsigned good = 0; good < dmr_copies(Shape{}.spare_size); ++good) {
            SCOPED_TRACE(std::string(how) + " all but copy " + std::to_string(good));
            Prepared prepared;
            for (unsigned copy = 0; copy < dmr_copies(Shape{}.spare_size); ++copy)
                if (copy != good)
                    damage(prepared, how, dmr_copy_offsets[copy], DMR_SUPERBLOCK_SIZE);
            ASSERT_NO_THROW(prepared.pair.open());
            prepared.expect_data();
            prepared.pair.close();
            expect_repaired(prepared.pair);
        }
    }
}

TEST(Promises, P4_OneBadCopyOfThePageCostsNothing) {
    for (const char* how : kDamages) {
        for (int copy = 0; copy < 2; ++copy) {
            SCOPED_TRACE(std::string(how) + " page in copy " + std::to_string(copy));
            Prepared prepared;
            const dmr_superblock sb = prepared.pair.superblock();
            damage(prepared, how, dmr_page_offset(&sb, copy, 0), dmr_le32(sb.page_size));
            ASSERT_NO_THROW(prepared.pair.open());
            prepared.expect_data();
            prepared.pair.close();
            expect_repaired(prepared.pair);
        }
    }
}

// Each entry may have its good copy elsewhere. Then neither page may be rewritten while what lives
// in it has no other copy, so there may be something left to repair, but nothing at risk.
TEST(Promises, P4_EntriesOfOnePageBadInDifferentCopies) {
    Prepared prepared;
    const dmr_superblock sb = prepared.pair.superblock();
    for (std::uint64_t entry = 0; entry < 64; ++entry) {
        const std::uint64_t at = dmr_page_offset(&sb, static_cast<int>(entry % 2), 0);
        prepared.pair.spare->poke(at + entry * DMR_ENTRY_SIZE, zeros(DMR_ENTRY_SIZE).data(),
                                  DMR_ENTRY_SIZE);
    }
    for (int round = 0; round < 2; ++round) {
        ASSERT_NO_THROW(prepared.pair.open());
        prepared.expect_data();
        prepared.pair.close();
        const auto device = prepared.pair.spare->device();
        const SpareReport report = examine_spare(*device, true);
        EXPECT_TRUE(report.fatal.empty());
        EXPECT_EQ(report.table.remapped, kRemaps);
        EXPECT_EQ(report.table.no_copy, 0u);
    }
}

// A relocation reaches the first copy of its page, which cannot be read at the next opening: nobody
// knows its number. The number must not be used for another claim, or both say the same one day.
void no_number_is_used_twice(TestPair& pair) {
    pair.open();
    pair.main->set_fault(80, 8, Fault{.write = true});
    pair.spare->set_hook([&pair](const Call& call) {
        if (call.op != Op::write || pair.table_copy(call.offset) != 1) return Medium::kPass;
        pair.power->cut_now();
        return ENODEV;
    });
    write_sectors(*pair.disk, 80, 8, 2);
    pair.spare->set_hook(nullptr);
    pair.crash();
    const dmr_superblock sb = pair.superblock();
    pair.spare->set_fault(dmr_page_offset(&sb, 0, 0) / kSector, dmr_le32(sb.page_size) / kSector,
                          Fault{.read = true, .write = true});
    pair.open();
    EXPECT_FALSE(pair.remap_of(10));
    EXPECT_EQ(write_sectors(*pair.disk, 80, 8, 3), 0);
    pair.close();
    pair.spare->heal_all();
    ASSERT_NO_THROW(pair.open());
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 3));
}

TEST(Promises, P4_ANumberOnACopyThatNobodyCouldReadIsNotUsedAgain) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    no_number_is_used_twice(pair);
}

// The same where the superblock is older than the table: the epoch rises above the entries' too.
TEST(Promises, P4_NorIsOneOfASessionThatTheSuperblockDoesNotKnow) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(800, 8).changed, 1u);
    pair.close();
    pair.edit_entries(
        [](dmr_entry& entry) { entry.sequence = dmr_to_le64(std::uint64_t{77} << 32 | 5); });
    no_number_is_used_twice(pair);
    EXPECT_EQ(dmr_le64(pair.superblock().entry_epoch), 80u);
}

// The block moves to a page that then fails in its second copy, and on from there. Until it stands
// in two copies the claim of its first slot is not erased.
TEST(Promises, P4_AnOldClaimStaysWhileItsWinnerStandsInOneCopy) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    const dmr_superblock sb = pair.superblock();
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    pair.plan->apply("main bad write 80+16\n");
    ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    ASSERT_EQ(pair.disk->remap(800, 8 * (per_page - 1)).changed, per_page - 1);
    const auto old = pair.remap_of(10);
    ASSERT_EQ(old->slot / per_page, 0u);
    std::vector<std::pair<int, std::uint64_t>> pages;  // in the order in which they were written
    pair.spare->set_hook([&](const Call& call) {
        for (const int copy : {0, 1})
            for (std::uint64_t page = 0; call.op == Op::write && page < 3; page++)
                if (call.offset == dmr_page_offset(&sb, copy, page)) pages.emplace_back(copy, page);
        return Medium::kPass;
    });
    pair.plan->apply("spare bad write " + std::to_string(old->spare_sector) + "\nspare bad write " +
                     std::to_string(dmr_page_offset(&sb, 1, 1) / kSector) + "\n");
    ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 3), 0);
    ASSERT_EQ(write_sectors(*pair.disk, 88, 8, 3), 0);  // one more commit, in which it may go
    pair.spare->set_hook(nullptr);
    const auto erased = std::find(pages.begin(), pages.end(), std::pair{0, std::uint64_t{0}});
    const auto firm = std::find(pages.begin(), pages.end(), std::pair{1, std::uint64_t{2}});
    ASSERT_NE(firm, pages.end());
    ASSERT_NE(erased, pages.end());
    EXPECT_LT(firm - pages.begin(), erased - pages.begin());
    EXPECT_EQ(read_sectors(*pair.disk, 80, 8), pattern(80, 8, 3));
}

// Only the medium's errors are damage. Of a copy that nobody could ask for it is not known whether
// it is the newest, and an older one must not win by that.
TEST(Promises, P4_ACopyThatNobodyCouldAskForIsNotDamaged) {
    TestPair pair;
    pair.fill_main(1);
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(80, 8).changed, 1u);
    pair.close();
    const dmr_superblock sb = pair.superblock();
    std::vector<std::uint64_t> places = {dmr_page_offset(&sb, 0, 0), dmr_page_offset(&sb, 1, 0)};
    for (unsigned i = 0; i < dmr_copies(pair.spare->size()); ++i)
        places.push_back(dmr_copy_offsets[i]);
    const auto before = pair.spare->snapshot();
    const auto refused = [&](const std::function<void(Device&)>& use) {
        const auto device = pair.spare->device();
        try {
            use(*device);
        } catch (const Refusal& refusal) {
            EXPECT_TRUE(pair.spare->snapshot() == before) << "refused, and written";
            return refusal.kind() == RefusalKind::system &&
                   std::string(refusal.what()).find("cannot be read just now") != std::string::npos;
        }
        return false;
    };
    for (const std::uint64_t place : places) {
        for (const int error : {ENOMEM, ENODEV, ENXIO, EAGAIN, EINTR, EBADF, ENOSPC}) {
            SCOPED_TRACE(std::to_string(place) + ": " + std::strerror(error));
            pair.spare->set_hook([&](const Call& call) {
                return call.op == Op::read && call.offset <= place &&
                               call.offset + call.length > place
                           ? error
                           : Medium::kPass;
            });
            EXPECT_TRUE(refused([&](Device&) { pair.open(); }));
            EXPECT_TRUE(refused([](Device& spare) { examine_spare(spare, true); }));
            EXPECT_TRUE(refused([](Device& spare) { repair_spare(spare); }));
            if (place == places[0] || place == places[1]) continue;
            EXPECT_TRUE(refused([&](Device& spare) {
                FormatOptions options;
                options.force = true;
                format_spare(*pair.main->device(), spare, options);
            }));
        }
        pair.spare->set_hook([&](const Call& call) {
            return call.op == Op::read && call.offset <= place && call.offset + call.length > place
                       ? EIO
                       : Medium::kPass;
        });
        const auto device = pair.spare->device();
        EXPECT_TRUE(examine_spare(*device, true).fatal.empty());
        pair.spare->set_hook(nullptr);
    }
    // An error that passes is none.
    unsigned asked = 0;
    pair.spare->set_hook([&](const Call& call) {
        return call.op == Op::read && asked++ < 2 ? EAGAIN : Medium::kPass;
    });
    EXPECT_NO_THROW(pair.open());
    pair.spare->set_hook(nullptr);
    EXPECT_TRUE(pair.remap_of(10));
}

TEST(Promises, P4_RescueIsForReadingOnly) {
    TestPair pair;
    pair.format();
    OpenOptions options;
    options.rescue = true;
    try {
        pair.open(options);
        FAIL() << "opened";
    } catch (const Refusal& refusal) {
        EXPECT_EQ(refusal.kind(), RefusalKind::usage);
        EXPECT_EQ(std::string(refusal.what()), "rescue needs ro: -o ro,rescue");
    }
}

TEST(Promises, P4_WithoutAGoodCopyItDoesNotOpen) {
    for (const char* how : {"unreadable", "zeroed", "garbled"}) {
        SCOPED_TRACE(how);
        Prepared prepared;
        TestPair& pair = prepared.pair;
        const dmr_superblock sb = pair.superblock();
        for (int copy = 0; copy < 2; ++copy)
            damage(prepared, how, dmr_page_offset(&sb, copy, 0), dmr_le32(sb.page_size));
        const auto spare_before = pair.spare->snapshot();
        const auto main_before = pair.main->snapshot();
        EXPECT_THROW(pair.open(), Refusal);
        EXPECT_EQ(pair.spare->snapshot(), spare_before) << "a refused opening wrote to the spare";
        OpenOptions options;
        options.read_only = true;
        EXPECT_THROW(pair.open(options), Refusal);
        // For rescue it opens, and still writes nothing.
        options.rescue = true;
        ASSERT_NO_THROW(pair.open(options));
        EXPECT_TRUE(pair.has_cause("rescue"));
        EXPECT_EQ(write_sectors(*pair.disk, 0, 8, 3), EROFS);
        pair.disk->close();
        pair.disk.reset();
        EXPECT_EQ(pair.spare->snapshot(), spare_before);
        EXPECT_EQ(pair.main->snapshot(), main_before);
    }
}

TEST(Promises, P4_WithoutASuperblockItIsNeverReinitialised) {
    Prepared prepared;
    for (unsigned copy = 0; copy < dmr_copies(Shape{}.spare_size); ++copy)
        damage(prepared, "torn", dmr_copy_offsets[copy], DMR_SUPERBLOCK_SIZE);
    const auto before = prepared.pair.spare->snapshot();
    EXPECT_THROW(prepared.pair.open(), Refusal);
    EXPECT_EQ(prepared.pair.spare->snapshot(), before);
}

}  // namespace
}  // namespace dmremap::test
