// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/examine.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/meta/opening_checks.h"
#include "core/meta/rebind.h"
#include "core/refusal.h"
#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

std::string identity(const std::string& serial, const Medium& medium) {
    return (serial.empty() ? "" : "serial=" + serial + "\n") +
           "size=" + std::to_string(medium.size()) + "\n";
}

// Closed cleanly with two remaps, block 10 on slot 0 and block 300 on another.
struct Closed : FormattedSpare {
    explicit Closed(const Shape& shape = {}) : FormattedSpare(shape) {
        fill_main(1);
        open();
        plan->apply("main bad write 80+8\nmain bad write 2400+8\n");
        EXPECT_EQ(write_sectors(*disk, 80, 8, 2), 0);
        EXPECT_EQ(write_sectors(*disk, 2400, 8, 2), 0);
        close();
        log->take();
    }
    SpareReport examine(bool with_table = true) {
        const auto before = spare->snapshot();
        const auto device = spare->device();
        const SpareReport report = examine_spare(*device, with_table);
        EXPECT_TRUE(spare->snapshot() == before) << "examining wrote";
        return report;
    }
    std::vector<std::string> repair() {
        const auto device = spare->device();
        return repair_spare(*device);
    }
    // "refused: SENTENCE", or what was accepted.
    std::string rebind(bool force = false, bool take_over = false) {
        const auto before = spare->snapshot(), main_before = main->snapshot();
        const auto main_device = main->device(), spare_device = spare->device();
        std::string result;
        try {
            RebindOptions how;
            how.force = force;
            how.take_over = take_over;
            const Rebound rebound = rebind_spare(*main_device, *spare_device, how);
            result = rebound.main + (rebound.spare.empty() ? "" : " / " + rebound.spare);
        } catch (const Refusal& refusal) {
            EXPECT_TRUE(spare->snapshot() == before) << "refused, and written";
            result = std::string("refused: ") + refusal.what();
        }
        EXPECT_TRUE(main->snapshot() == main_before) << "main was written";
        return result;
    }
    bool opens() {
        try {
            open();
        } catch (const Refusal&) {
            return false;
        }
        EXPECT_EQ(read_sectors(*disk, 80, 8), pattern(80, 8, 2));
        EXPECT_EQ(read_sectors(*disk, 2400, 8), pattern(2400, 8, 2));
        close();
        return true;
    }
};

void expect_words(const std::string& sentence, const Words& words) {
    for (const std::string& word : words) {
        EXPECT_NE(sentence.find(word), std::string::npos) << word << " is not in: " << sentence;
    }
}

TEST(Examine, AWholeSpareHasNothingToRepair) {
    Closed spare;
    const SpareReport report = spare.examine();
    ASSERT_TRUE(report.has_superblock);
    EXPECT_TRUE(report.repairable.empty());
    EXPECT_TRUE(report.fatal.empty());
    EXPECT_EQ(report.copies.size(), 3u);
    EXPECT_EQ(report.table.remapped, 2u);
    EXPECT_EQ(dmr_le64(report.superblock.live_remaps), 2u);
    EXPECT_EQ(report.table.free + 2, report.table.entries);
    EXPECT_EQ(spare.repair(), Words{});
    EXPECT_EQ(spare.written(), Words{}) << "nothing to repair, nothing to write";
    EXPECT_EQ(spare.examine(false).table.entries, 0u) << "only the superblock was asked for";
}

// Each of these is found, repaired, then gone, and the remaps with their data are still there.
TEST(Examine, WhatIsRepairableIsRepairedAndStays) {
    struct Case {
        std::string word;
        std::function<void(Closed&)> damage;
    };
    const Case cases[] = {
        {"1 superblock copy is damaged or stale", [](Closed& s) { s.garble_copy(1); }},
        {"2 superblock copies are damaged or stale",
         [](Closed& s) {
             s.garble_copy(0);
             s.garble_copy(2);
         }},
        {"1 entry has only one good copy", [](Closed& s) { s.wipe_entry(0, 0); }},
        {"128 entries have only one good copy", [](Closed& s) { s.garble(s.page_at(1, 2), 4096); }},
        {"1 entry has a stale copy",
         [](Closed& s) {
             dmr_entry newer = s.entry_of(0, 0);
             newer.sequence = dmr_to_le64(dmr_le64(newer.sequence) + 9);
             s.put_entry(0, 0, newer);
         }},
        {"1 claim is superseded by a newer one",
         [](Closed& s) {
             dmr_entry older = s.entry_of(0, 0);
             older.sequence = dmr_to_le64(1u);
             s.put_entry(0, 200, older);
             s.put_entry(1, 200, older);
         }},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.word);
        Closed spare;
        c.damage(spare);
        SpareReport report = spare.examine();
        EXPECT_EQ(report.repairable, Words{c.word});
        EXPECT_TRUE(report.fatal.empty());
        EXPECT_FALSE(spare.repair().empty());
        report = spare.examine();
        EXPECT_TRUE(report.repairable.empty()) << report.repairable.front();
        EXPECT_EQ(report.table.remapped, 2u);
        EXPECT_EQ(dmr_le32(report.superblock.flags), DMR_CLEAN | DMR_WITNESS);
        EXPECT_TRUE(spare.opens());
    }
}

TEST(Examine, P4_WhatIsFatalIsSaidAndNotTouched) {
    struct Case {
        std::string word;
        std::function<void(Closed&)> damage;
    };
    const Case cases[] = {
        {"no superblock copy is whole",
         [](Closed& s) {
             for (unsigned i = 0; i < 3; i++) s.garble_copy(i);
         }},
        {"two different spares",
         [](Closed& s) {
             dmr_superblock other = s.copy(1);
             other.uuid[0] ^= 1;
             s.put_copy(1, other);
         }},
        {"1 entry has no good copy",
         [](Closed& s) {
             s.wipe_entry(0, 5);
             s.wipe_entry(1, 5);
         }},
        {"1 entry contradicts another of the same sequence",
         [](Closed& s) {
             dmr_entry other = s.entry_of(0, 0);
             other.main_block = dmr_to_le64(77u);
             s.put_entry(0, 0, other);
         }},
        {"closed clean with 3 remaps, but the table holds 2",
         [](Closed& s) {
             s.edit_superblocks([](dmr_superblock& sb) { sb.live_remaps = dmr_to_le64(3u); });
         }},
        {"the superblock is stale",
         [](Closed& s) {
             dmr_entry entry = s.entry_of(0, 0);
             s.put_entry(1, dmr_le64(s.geometry.table_ready), entry);
         }},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.word);
        Closed spare;
        c.damage(spare);
        const SpareReport report = spare.examine();
        ASSERT_FALSE(report.fatal.empty());
        expect_words(report.fatal.front(), {c.word});
        const auto before = spare.spare->snapshot();
        EXPECT_THROW(spare.repair(), Refusal);
        EXPECT_TRUE(spare.spare->snapshot() == before);
        EXPECT_FALSE(spare.opens()) << "examine says fatal, opening does not mind";
        EXPECT_TRUE(spare.spare->snapshot() == before);
    }
}

TEST(Examine, P7_ASpareCutShortIsFatal) {
    Shape shape;
    shape.spare_size = 9 << 20;
    Closed spare(shape);
    spare.spare->set_size(spare.spare->size() - 512);
    const SpareReport report = spare.examine();
    ASSERT_EQ(report.fatal.size(), 1u);
    expect_words(report.fatal.front(),
                 {"9436672 bytes", "was formatted with 9437184", "cut short"});
    EXPECT_THROW(spare.repair(), Refusal);
}

TEST(Examine, RepairRefusesASpareInUseAndAClone) {
    Closed spare;
    spare.garble_copy(0);
    spare.edit_superblocks([](dmr_superblock& sb) {
        set_in_use(sb, "somebody");
        sb.holder_machine[0] ^= 1;
        sb.holder_boot[0] ^= 1;
    });
    EXPECT_THROW(spare.repair(), Refusal);
    spare.edit_superblocks([](dmr_superblock& sb) { clear_in_use(sb); });
    spare.spare->set_identity(identity("CLONE-9", *spare.spare));
    EXPECT_THROW(spare.repair(), Refusal);
    spare.spare->set_identity(identity("SPARE-1", *spare.spare));
    EXPECT_NO_THROW(spare.repair());
}

TEST(Examine, P3_ACrashInARepairIsJustAnotherCrash) {
    for (std::uint64_t cut = 1; cut < 60; cut++) {
        SCOPED_TRACE(cut);
        Closed spare;
        spare.garble_copy(1);
        spare.wipe_entry(0, 0);
        spare.spare->set_cache(true);
        spare.power->cut_at(cut);
        bool finished = true;
        try {
            spare.repair();
        } catch (const Refusal&) {
            finished = false;
        }
        spare.spare->lose();
        spare.power->on();
        spare.set_cache(false);
        EXPECT_NO_THROW(spare.repair());
        EXPECT_TRUE(spare.opens());
        if (finished) {
            break;
        }
    }
}

TEST(Rebind, WithoutADifferenceNothingIsWritten) {
    Closed spare;
    EXPECT_EQ(spare.rebind(), "");
    EXPECT_EQ(spare.written(), Words{});
}

TEST(Rebind, AnotherSerialIsAcceptedWhenTheWitnessProvesTheData) {
    Closed spare;
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    EXPECT_FALSE(spare.opens());
    EXPECT_EQ(spare.rebind(), "serial was MAIN-1, is BRIDGE-7");
    EXPECT_TRUE(spare.opens());
    EXPECT_EQ(spare.rebind(), "");
}

// The witness is of main: it says nothing of how old a spare is.
TEST(Rebind, P7_ACopyOfASpareIsAcceptedByForceAlone) {
    Closed spare;
    spare.spare->set_identity(identity("CLONE-9", *spare.spare));
    expect_words(spare.rebind(),
                 {"refused: SPARE-1", "serial was SPARE-1, is CLONE-9", "may be old", "--force"});
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    expect_words(spare.rebind(), {"refused: SPARE-1", "serial was SPARE-1, is CLONE-9"});
    EXPECT_EQ(spare.rebind(true),
              "serial was MAIN-1, is BRIDGE-7 / serial was SPARE-1, is CLONE-9");
    EXPECT_TRUE(spare.opens());
}

TEST(Rebind, WhatForcePassesOverIsSaidWhole) {
    Closed spare;
    spare.spare->set_identity(identity("CLONE-9", *spare.spare));
    spare.main->poke(0, "other data", 10);
    expect_words(spare.rebind(), {"refused: MAIN-1 was written while detached", "SPARE-1 is not",
                                  "may be old", "--force"});
}

// A pair that came over from a machine that died.
TEST(Rebind, WhatAnotherMachineLeftOpenIsTakenOverAndStillRecovered) {
    Closed spare;
    spare.open();
    spare.crash();
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    spare.edit_superblocks([](dmr_superblock& sb) {
        sb.holder_machine[0] ^= 1;
        sb.holder_boot[0] ^= 1;
    });
    expect_words(spare.rebind(true), {"refused: ", "another machine", "--take-over"});
    expect_words(spare.rebind(false, true), {"refused: ", "no witness", "--force"});
    EXPECT_EQ(spare.rebind(true, true), "serial was MAIN-1, is BRIDGE-7");
    EXPECT_FALSE(spare.opens()) << "the mark stays";
    OpenOptions options;
    options.take_over = true;
    EXPECT_NO_THROW(spare.open(options));
    spare.close();
}

TEST(Rebind, ATextThatDoesNotFitItsDigestIsNone) {
    Closed spare;
    spare.edit_superblocks([](dmr_superblock& sb) { sb.main_digest[0] ^= 1; });
    EXPECT_FALSE(spare.opens());
    EXPECT_NE(spare.rebind(), "");
    EXPECT_TRUE(spare.opens());
}

TEST(Rebind, ASpareThatTakesNoWritesIsSaid) {
    Closed spare;
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    spare.fail(Op::write, {"copy 0", "copy 1", "copy 2"});
    expect_words(spare.rebind(), {"refused: SPARE-1", "cannot be written", "Input/output error"});
    spare.fail_nothing();
    EXPECT_EQ(spare.rebind(), "serial was MAIN-1, is BRIDGE-7");
}

TEST(Rebind, P7_AWrongWitnessIsRefused) {
    Closed spare;
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    spare.main->poke(0, "other data", 10);
    expect_words(spare.rebind(), {"refused: ", "MAIN-1 was written while detached: 1 of ",
                                  "witness blocks differ", "--force"});
    expect_words(spare.rebind(true), {"BRIDGE-7"});
    EXPECT_FALSE(spare.opens()) << "the witness is still wrong, and that is asked for apart";
    OpenOptions options;
    options.accept_changed_main = true;
    EXPECT_NO_THROW(spare.open(options));
    spare.close();
}

TEST(Rebind, P7_WithoutAWitnessItIsRefused) {
    Closed spare;
    spare.open();
    spare.crash();
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    expect_words(spare.rebind(), {"refused: ", "no witness", "--force"});
    expect_words(spare.rebind(true), {"BRIDGE-7"});
    EXPECT_TRUE(spare.opens());
}

TEST(Rebind, P7_AnotherSizeIsRefusedEvenByForce) {
    Closed spare;
    spare.main->set_size(spare.main->size() - kBlock);
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    expect_words(spare.rebind(true), {"refused: ", "this is not its main device"});
}

TEST(Rebind, P7_ASpareInUseIsRefused) {
    Closed spare;
    spare.main->set_identity(identity("BRIDGE-7", *spare.main));
    spare.edit_superblocks([](dmr_superblock& sb) {
        set_in_use(sb, "somebody");
        sb.holder_machine[0] ^= 1;
        sb.holder_boot[0] ^= 1;
    });
    expect_words(spare.rebind(true), {"refused: ", "in use by somebody"});
}

}  // namespace
}  // namespace dmremap::test
