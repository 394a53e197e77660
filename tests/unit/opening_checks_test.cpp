// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/opening_checks.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "core/meta/witness.h"
#include "core/refusal.h"
#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

// "" or the sentence of the refusal.
std::string refusal(const std::function<void()>& check,
                    RefusalKind expected = RefusalKind::refused) {
    try {
        check();
    } catch (const Refusal& refused) {
        EXPECT_EQ(refused.kind(), expected) << refused.what();
        return refused.what();
    }
    return "";
}

void expect_words(const std::string& sentence, const Words& words) {
    for (const std::string& word : words) {
        EXPECT_NE(sentence.find(word), std::string::npos) << word << " is not in: " << sentence;
    }
}

std::string sized(const std::string& facts, const Medium& medium) {
    return facts + "size=" + std::to_string(medium.size()) + "\n";
}

class OpeningChecks : public testing::Test {
protected:
    OpeningChecks() : sb_(spare_.superblock()) {
        spare_.fill_main(1);
        renew();
    }
    void renew() {
        main_ = spare_.main->device();
        device_ = spare_.spare->device();
    }
    void closed_with_witness() {
        take_witness(
            *main_, [](std::uint64_t) { return false; }, sb_);
        sb_.flags = dmr_to_le32(DMR_CLEAN | DMR_WITNESS);
    }
    std::string identity(bool accept = false) {
        renew();
        return refusal([&] { require_identity(sb_, *main_, *device_, accept); });
    }
    std::string geometry(bool writable = true) {
        renew();
        return refusal([&] { require_geometry(sb_, *main_, *device_, writable); });
    }
    std::string main_text() const { return field_text(sb_.main_text, sizeof(sb_.main_text)); }

    FormattedSpare spare_;
    dmr_superblock sb_;
    std::unique_ptr<Device> main_, device_;
};

TEST_F(OpeningChecks, TheSuperblockThatCounts) {
    const auto require = [&](Device* main) {
        return refusal([&] { require_superblock(scan_superblocks(*device_), *device_, main); });
    };
    EXPECT_EQ(require(main_.get()), "");
    const dmr_superblock whole = spare_.copy(0);
    for (unsigned i = 0; i < 3; i++) spare_.garble(dmr_copy_offsets[i] + 512, 512);
    expect_words(require(main_.get()), {"SPARE-1: no superblock copy of 3 is whole", "examine"});
    for (unsigned i = 0; i < 3; i++)
        spare_.spare->poke(dmr_copy_offsets[i], zeros(4096).data(), 4096);
    expect_words(require(nullptr), {"SPARE-1 is not a dm-remap spare", "dmremapctl format"});
    dmr_superblock other = whole;
    other.version = dmr_to_le32(DMR_VERSION + 1);
    spare_.put_copy(1, other);
    expect_words(require(nullptr), {"unknown version"});
}

TEST_F(OpeningChecks, ASwappedPairIsSaid) {
    expect_words(
        refusal([&] { require_superblock(scan_superblocks(*main_), *main_, device_.get()); }),
        {"SPARE-1 is a dm-remap spare and MAIN-1 is not", "swapped"});
}

TEST_F(OpeningChecks, GeometryOfTheDevicesAsTheyAre) {
    EXPECT_EQ(geometry(), "");
    spare_.main->set_size(spare_.main->size() - 512);
    expect_words(geometry(), {"MAIN-1 has 4193792 bytes", "4194304", "not its main"});
    spare_.main->set_size(4 << 20);
    spare_.spare->set_size(spare_.spare->size() - 512);
    expect_words(geometry(), {"SPARE-1 has 8388096 bytes", "8388608", "cut short"});
    spare_.spare->set_size(8 << 20);
    sb_.main_logical_block = dmr_to_le32(256u);
    expect_words(geometry(), {"SPARE-1 has logical blocks of 512"});
}

TEST_F(OpeningChecks, MainsLogicalBlocksMustHoldWholeOnesOfTheSpare) {
    const FormattedSpare of_4k(
        {.main_logical = 4096, .spare_logical = 4096, .spare_physical = 4096});
    const auto device = of_4k.spare->device();
    expect_words(
        refusal([&] { require_geometry(of_4k.superblock(), *main_, *device, true); }),
        {"MAIN-1 has logical blocks of 512 bytes", "SPARE-1 of 4096", "not below the spare's"});
}

TEST_F(OpeningChecks, WhatMattersOnlyForWritingIsRefusedOnlyThen) {
    sb_.ro_compat = dmr_to_le32(1u);
    expect_words(geometry(true), {"can only read", "-o ro"});
    EXPECT_EQ(geometry(false), "");
    sb_.ro_compat = 0;
    sb_.page_size = dmr_to_le32(256u);  // below the physical block
    expect_words(geometry(true), {"physical blocks of 512", "-o ro"});
    EXPECT_EQ(geometry(false), "");
    sb_.page_size = dmr_to_le32(4096u);
    sb_.compat = dmr_to_le32(~0u);
    EXPECT_EQ(geometry(true), "");
}

TEST_F(OpeningChecks, TheIdentityOfBothMustAgree) {
    EXPECT_EQ(identity(), "");
    spare_.main->set_identity(sized("serial=OTHER\n", *spare_.main));
    expect_words(identity(), {"MAIN-1 is not the main device of spare SPARE-1",
                              "serial was MAIN-1, is OTHER", "attach the right one"});
    EXPECT_EQ(identity(true), identity()) << "a changed main is not another one";
    spare_.main->set_identity(sized("serial=MAIN-1\n", *spare_.main));
    spare_.spare->set_identity(sized("serial=CLONE\n", *spare_.spare));
    expect_words(identity(), {"serial was SPARE-1, is CLONE", "rebind"});
}

TEST_F(OpeningChecks, AMovedMainIsRecognisedByItsWitness) {
    closed_with_witness();
    spare_.main->set_identity(sized("serial=BRIDGE\n", *spare_.main));
    expect_words(identity(), {"serial was MAIN-1, is BRIDGE", "its content is", "rebind"});
}

TEST_F(OpeningChecks, ATextThatDoesNotFitItsDigestIsNotBelieved) {
    sb_.main_digest[0] ^= 1;
    EXPECT_NE(identity(), "");
    sb_.main_digest[0] ^= 1;
    sb_.spare_text[0] ^= 1;
    EXPECT_NE(identity(), "");
}

TEST_F(OpeningChecks, FurtherFactsAreLearnt) {
    spare_.main->set_identity(sized("serial=MAIN-1\n", *spare_.main) + "wwn=0x5\n");
    EXPECT_EQ(identity(), "");
    expect_words(main_text(), {"wwn=0x5"});
    spare_.main->set_identity(sized("serial=MAIN-1\n", *spare_.main) + "wwn=0x6\n");
    expect_words(identity(), {"wwn was 0x5, is 0x6"});
}

TEST_F(OpeningChecks, AMainWithoutStrongFactsIsToldBySizeAndWitness) {
    spare_.main->set_identity(sized("", *spare_.main));
    set_main_identity(sb_, spare_.main->info().identity);
    EXPECT_EQ(identity(), "");
    closed_with_witness();
    EXPECT_EQ(identity(), "");
    spare_.main->poke(0, "other data", 10);
    expect_words(identity(), {"written while detached", "1 of "});
}

// A bridge that hides the serial must not make the pair forget it: once the witness is gone (a
// crash), any disk of that size would do.
TEST_F(OpeningChecks, P7_AWitnessProvesButDoesNotWeakenTheIdentity) {
    spare_.main->set_identity(sized("", *spare_.main));
    expect_words(identity(), {"no strong fact is shared"});
    closed_with_witness();
    EXPECT_EQ(identity(), "");
    sb_.flags = 0;  // crashed
    expect_words(identity(), {"no strong fact is shared", "serial=MAIN-1"});
}

TEST_F(OpeningChecks, P7_AMainWrittenWhileDetachedIsRefusedUnlessAccepted) {
    closed_with_witness();
    spare_.main->poke(0, "other data", 10);
    spare_.main->poke(kBlock, "other data", 10);
    expect_words(identity(), {"MAIN-1 was written while detached: 2 of ", "accept_changed_main"});
    EXPECT_EQ(identity(true), "");
}

TEST_F(OpeningChecks, TheMarkOfThisProcessIsNoHindrance) {
    const auto in_use = [&](bool take_over = false) {
        bool crashed = false;
        const std::string text =
            refusal([&] { crashed = require_not_in_use(sb_, *device_, take_over, "take it over"); },
                    RefusalKind::busy);
        EXPECT_TRUE(text.empty() || !crashed);
        return crashed ? "recovers" : text;
    };
    EXPECT_EQ(in_use(), "");
    closed_with_witness();
    set_in_use(sb_, "a name longer than the thirty-one bytes that fit");
    EXPECT_EQ(dmr_le32(sb_.flags), DMR_IN_USE) << "neither clean nor with a witness any more";
    EXPECT_EQ(field_text(sb_.holder_name, sizeof(sb_.holder_name)).size(), 31u);
    EXPECT_EQ(in_use(), "recovers");
    // A process that has ended.
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    sb_.holder_pid = dmr_to_le64(static_cast<std::uint64_t>(child));
    EXPECT_EQ(in_use(), "recovers");
    // An earlier boot of this machine.
    sb_.holder_boot[3] ^= 1;
    EXPECT_EQ(in_use(), "recovers");
    sb_.holder_machine[3] ^= 1;
    expect_words(in_use(), {"SPARE-1", "another machine", "let go of it: take it over"});
    EXPECT_EQ(in_use(true), "recovers");
    clear_in_use(sb_);
    EXPECT_EQ(in_use(), "");
    EXPECT_EQ(sb_.holder_pid, 0u);
}

TEST_F(OpeningChecks, ALivingHolderIsRespectedWhateverIsAsked) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(pipe_ends[1]);
        dmr_superblock sb{};
        set_in_use(sb, "the child");
        char byte = 0;
        const bool told = ::write(ready[1], &sb, sizeof(sb)) == sizeof(sb);
        const bool ended = told && ::read(pipe_ends[0], &byte, 1) >= 0;
        ::_exit(ended ? 0 : 1);
    }
    dmr_superblock theirs{};
    ASSERT_EQ(::read(ready[0], &theirs, sizeof(theirs)), static_cast<ssize_t>(sizeof(theirs)));
    for (const bool take_over : {false, true}) {
        expect_words(
            refusal([&] { require_not_in_use(theirs, *device_, take_over, "take it over"); },
                    RefusalKind::busy),
            {"SPARE-1 is in use by the child (process " + std::to_string(child) + ")"});
    }
    for (const int end : {pipe_ends[0], pipe_ends[1], ready[0], ready[1]}) ::close(end);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_TRUE(require_not_in_use(theirs, *device_, false, ""));
}

TEST_F(OpeningChecks, FieldsEndAtTheirNulOrTheirEnd) {
    const std::uint8_t full[] = {'a', 'b'}, cut[] = {'a', 0, 'b'};
    EXPECT_EQ(field_text(full, sizeof(full)), "ab");
    EXPECT_EQ(field_text(cut, sizeof(cut)), "a");
    set_main_identity(sb_, std::string(2000, 'x'));
    EXPECT_EQ(main_text(), std::string(DMR_IDENTITY_TEXT - 1, 'x'));
}

}  // namespace
}  // namespace dmremap::test
