// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/format_spare.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/meta/uuid.h"
#include "core/refusal.h"
#include "tests/unit/open_spare.h"

namespace dmremap::test {
namespace {

constexpr const char* kUuid = "00112233-4455-6677-8899-aabbccddeeff";

// A device that says something else of itself than it is.
class SaysOfItself : public Device {
public:
    SaysOfItself(std::unique_ptr<Device> device, const std::function<void(DeviceInfo&)>& edit)
        : device_(std::move(device)), info_(device_->info()) {
        edit(info_);
    }
    const DeviceInfo& info() const override { return info_; }
    void submit(Io& io) override { device_->submit(io); }

private:
    std::unique_ptr<Device> device_;
    DeviceInfo info_;
};

// "" when it was formatted, otherwise the sentence; then nothing may have changed.
std::string formatting(TestPair& pair, const FormatOptions& options = {},
                       RefusalKind expected = RefusalKind::refused) {
    const auto main_before = pair.main->snapshot(), spare_before = pair.spare->snapshot();
    const auto main = pair.main->device(), spare = pair.spare->device();
    std::string sentence;
    try {
        format_spare(*main, *spare, options);
    } catch (const Refusal& refusal) {
        sentence = refusal.what();
        EXPECT_EQ(refusal.kind(), expected) << sentence;
        EXPECT_TRUE(pair.spare->snapshot() == spare_before) << "refused, and written: " << sentence;
    }
    EXPECT_TRUE(pair.main->snapshot() == main_before) << "main was written";
    return sentence;
}

void expect_words(const std::string& sentence, const std::vector<std::string>& words) {
    for (const std::string& word : words) {
        EXPECT_NE(sentence.find(word), std::string::npos) << word << " is not in: " << sentence;
    }
}

TEST(FormatSpare, ABlankSpareBecomesOne) {
    TestPair pair;
    const auto main = pair.main->device(), spare = pair.spare->device();
    FormatOptions options;
    options.label = "my disk";
    options.uuid = kUuid;
    const FormatResult result = format_spare(*main, *spare, options);
    EXPECT_EQ(result.uuid, kUuid);
    EXPECT_EQ(result.superblock_copies, 3u);
    EXPECT_EQ(result.main_size, pair.main->size());
    const SpareReport report = examine_spare(*spare, true);
    EXPECT_TRUE(report.fatal.empty() && report.repairable.empty());
    const dmr_superblock& sb = report.superblock;
    EXPECT_EQ(dmr_le64(sb.slots), result.slots);
    EXPECT_EQ(field_text(sb.label, sizeof(sb.label)), "my disk");
    EXPECT_EQ(dmr_le32(sb.flags), DMR_CLEAN) << "without a witness: main may be used until mounted";
    EXPECT_EQ(dmr_le64(sb.sequence), 1u);
    EXPECT_EQ(report.table.free, dmr_le64(sb.table_ready));
    pair.open();
    pair.close();
}

TEST(FormatSpare, AScanOfAllOfMainBeginsWhereItIsAskedFor) {
    for (const bool scan : {false, true}) {
        TestPair pair;
        FormatOptions options;
        options.scan = scan;
        EXPECT_EQ(formatting(pair, options), "");
        const dmr_superblock sb = pair.superblock();
        EXPECT_EQ(dmr_scan_pass_valid(&sb), scan);
        EXPECT_EQ(dmr_le32(sb.scan_state), scan ? DMR_SCAN_RUNNING : DMR_SCAN_NONE);
        EXPECT_EQ(dmr_le64(sb.scan_begin), 0u);
        EXPECT_EQ(dmr_le64(sb.scan_cursor), 0u);
        EXPECT_EQ(dmr_le64(sb.scan_end), scan ? dmr_main_blocks(&sb) : 0);
        EXPECT_EQ(dmr_le64(sb.scan_pass_start), scan ? dmr_le64(sb.created) : 0);
    }
}

TEST(FormatSpare, EachNewSpareHasAUuidOfItsOwn) {
    TestPair a, b;
    EXPECT_EQ(formatting(a), "");
    EXPECT_EQ(formatting(b), "");
    EXPECT_NE(uuid_text(a.superblock().uuid), uuid_text(b.superblock().uuid));
}

TEST(FormatSpare, ThePageIsAPhysicalBlock) {
    for (const auto& [physical, page] :
         {std::pair{512u, 4096u}, {4096u, 4096u}, {16384u, 16384u}, {65536u, 65536u}}) {
        Shape shape;
        shape.spare_physical = physical;
        TestPair pair(shape);
        EXPECT_EQ(formatting(pair), "");
        EXPECT_EQ(dmr_le32(pair.superblock().page_size), page);
    }
}

TEST(FormatSpare, UnfitDevicesAreRefused) {
    struct Case {
        std::function<void(DeviceInfo& main, DeviceInfo& spare)> edit;
        std::vector<std::string> words;
    };
    using Info = DeviceInfo;
    const Case cases[] = {
        {[](Info&, Info& s) { s.size = DMR_SPARE_MIN - 512; },
         {"SPARE-1 has 8388096 bytes", "at least 8388608"}},
        {[](Info&, Info& s) { s.physical_block = 131072; }, {"physical blocks of 131072", "65536"}},
        {[](Info&, Info& s) { s.read_only = true; }, {"SPARE-1 is read-only"}},
        {[](Info&, Info& s) { s.logical_block = 4096; },
         {"MAIN-1 has 512 bytes", "SPARE-1 has 4096"}},
        {[](Info& m, Info&) { m.logical_block = 8192; }, {"MAIN-1 has 8192 bytes"}},
        {[](Info& m, Info&) { m.size -= 256; }, {"MAIN-1", "not a multiple"}},
        {[](Info& m, Info&) { m.size = 0; }, {"MAIN-1 has 0 bytes"}},
    };
    for (const Case& c : cases) {
        TestPair pair;
        const auto before = pair.spare->snapshot();
        DeviceInfo main_info = pair.main->info(), spare_info = pair.spare->info();
        c.edit(main_info, spare_info);
        SaysOfItself main(pair.main->device(), [&](Info& info) { info = main_info; });
        SaysOfItself spare(pair.spare->device(), [&](Info& info) { info = spare_info; });
        FormatOptions options;
        options.force = true;
        try {
            format_spare(main, spare, options);
            ADD_FAILURE() << "formatted: " << c.words.front();
        } catch (const Refusal& refusal) {
            EXPECT_EQ(refusal.kind(), RefusalKind::refused);
            expect_words(refusal.what(), c.words);
        }
        EXPECT_TRUE(pair.spare->snapshot() == before);
    }
}

TEST(FormatSpare, WordsThatMakeNoSenseAreRefused) {
    TestPair pair;
    FormatOptions options;
    options.label = std::string(64, 'x');
    expect_words(formatting(pair, options, RefusalKind::usage), {"64 bytes", "63"});
    options.label.pop_back();
    options.uuid = "no uuid";
    expect_words(formatting(pair, options, RefusalKind::usage), {"no uuid"});
    options.uuid = kUuid;
    EXPECT_EQ(formatting(pair, options), "");
    EXPECT_EQ(pair.superblock().label[62], 'x');
}

TEST(FormatSpare, ForeignContentWantsForce) {
    TestPair pair;
    FormatOptions options;
    options.foreign = "an ext4 file system";
    expect_words(formatting(pair, options), {"SPARE-1", "an ext4 file system", "--force"});
    // Nothing that could be recognised is left of it: an opener would refuse it.
    for (const std::uint64_t at : {std::uint64_t{1024}, pair.spare->size() - 65536})
        pair.spare->poke(at, "signature", 9);
    options.force = true;
    EXPECT_EQ(formatting(pair, options), "");
    for (const std::uint64_t at : {std::uint64_t{1024}, pair.spare->size() - 65536})
        EXPECT_EQ(pair.spare->peek(at, 9), zeros(9));
}

TEST(FormatSpare, BytesWhereItWritesWantForce) {
    TestPair formatted;
    EXPECT_EQ(formatting(formatted), "");
    const dmr_superblock sb = formatted.superblock();
    for (const std::uint64_t at :
         {dmr_copy_offsets[0] + 4095, dmr_copy_offsets[2], dmr_page_offset(&sb, 0, 0) + 77,
          dmr_page_offset(&sb, 1, 7) + 4095}) {
        TestPair pair;
        pair.spare->poke(at, "x", 1);
        expect_words(formatting(pair),
                     {"SPARE-1 is not empty", std::to_string(at / 4096 * 4096), "--force"});
        FormatOptions options;
        options.force = true;
        EXPECT_EQ(formatting(pair, options), "");
    }
    TestPair elsewhere;
    elsewhere.spare->poke(0, "x", 1);
    elsewhere.spare->poke(dmr_slot_offset(&sb, 9), "x", 1);
    EXPECT_EQ(formatting(elsewhere), "") << "what format does not write is not its business";
}

TEST(FormatSpare, WhatCannotBeReadIsNotCalledFull) {
    TestPair formatted;
    EXPECT_EQ(formatting(formatted), "");
    const dmr_superblock sb = formatted.superblock();
    for (const std::uint64_t at : {dmr_copy_offsets[1], dmr_page_offset(&sb, 1, 7)}) {
        TestPair pair;
        pair.spare->set_hook([at](const Call& call) {
            return call.op == Op::read && call.offset == at ? EIO : Medium::kPass;
        });
        const std::string words = formatting(pair);
        expect_words(words, {"SPARE-1 cannot be read at " + std::to_string(at),
                             "Input/output error", "--force"});
        EXPECT_EQ(words.find("is not empty"), std::string::npos) << words;
        FormatOptions options;
        options.force = true;
        EXPECT_EQ(formatting(pair, options), "");
    }
}

TEST(FormatSpare, ASpareIsNoMain) {
    Shape shape;
    shape.main_size = 8 << 20;
    TestPair pair(shape);
    EXPECT_EQ(formatting(pair), "");
    const auto main = pair.main->device(), spare = pair.spare->device();
    const auto swapped = [&] {
        try {
            format_spare(*spare, *main, {});
        } catch (const Refusal& refusal) {
            return std::string(refusal.what());
        }
        return std::string();
    };
    expect_words(swapped(), {"SPARE-1 is a dm-remap spare itself", "swapped"});
    // Also one that this version cannot read.
    pair.edit_superblocks([](dmr_superblock& sb) { sb.version = dmr_to_le32(DMR_VERSION + 1); });
    expect_words(swapped(), {"SPARE-1 is a dm-remap spare itself", "swapped"});
}

// A live spare with one remap.
struct Live : FormattedSpare {
    Live() {
        OpenSpare open(*this);
        open.claim(0, 10);
    }
    std::string uuid() const { return uuid_text(superblock().uuid); }
};

TEST(FormatSpare, P7_ALiveSpareIsDestroyedOnlyByItsName) {
    Live spare;
    const std::string old = spare.uuid();
    FormatOptions options;
    options.force = true;
    expect_words(formatting(spare, options), {old, "only copy of 1 blocks", "--destroy=" + old});
    options.destroy_uuid = kUuid;
    expect_words(formatting(spare, options), {"--destroy=" + old, std::string("not ") + kUuid});
    options.destroy_uuid = old;
    EXPECT_EQ(formatting(spare, options), "");
    EXPECT_NE(spare.uuid(), old);
    const LoadedTable table = reload(spare);
    EXPECT_EQ(table.report.remapped, 0u);
}

// A file system made over a spare leaves its copies further in alone: naming the one says nothing
// of the other.
TEST(FormatSpare, P7_DestroyingASpareDoesNotMeanWhatWasMadeOverIt) {
    Live spare;
    const std::string old = spare.uuid();
    FormatOptions options;
    options.foreign = "an ext4 file system";
    expect_words(formatting(spare, options), {"--destroy=" + old, "--force", options.foreign});
    options.destroy_uuid = old;
    expect_words(formatting(spare, options), {"holds " + options.foreign, "--force as well"});
    EXPECT_EQ(spare.uuid(), old);
    options.force = true;
    EXPECT_EQ(formatting(spare, options), "");
    EXPECT_NE(spare.uuid(), old);
}

// Which of the two contents counts nobody knows, so neither what would be destroyed.
TEST(FormatSpare, P7_ASpareThatContradictsItselfWantsItsNameAndForce) {
    Live spare;
    dmr_superblock other = spare.copy(2);
    other.label[0] = 'z';
    spare.put_copy(2, other);
    FormatOptions options;
    options.destroy_uuid = spare.uuid();
    expect_words(formatting(spare, options), {"one sequence differ", "--force as well"});
    options.force = true;
    EXPECT_EQ(formatting(spare, options), "");
}

TEST(FormatSpare, P7_ASpareInUseIsNotDestroyed) {
    Live spare;
    FormatOptions options;
    options.destroy_uuid = spare.uuid();
    spare.edit_superblocks([](dmr_superblock& sb) {
        set_in_use(sb, "somebody");
        sb.holder_machine[0] ^= 1;
        sb.holder_boot[0] ^= 1;
    });
    expect_words(formatting(spare, options, RefusalKind::busy), {"in use by somebody", "machine"});
}

TEST(FormatSpare, WhatIsLeftOfASpareWantsForce) {
    for (const bool unknown_version : {false, true}) {
        Live spare;
        for (unsigned i = 0; i < spare.copies; i++) {
            dmr_superblock sb = spare.copy(i);
            sb.version = dmr_to_le32(DMR_VERSION + 1);
            spare.put_copy(i, sb);
            if (!unknown_version) {
                spare.spare->poke(dmr_copy_offsets[i] + 500, "x", 1);
            }
        }
        expect_words(formatting(spare), {"what is left of a dm-remap spare",
                                         unknown_version ? "unknown version" : "bad checksum"});
        FormatOptions options;
        options.force = true;
        EXPECT_EQ(formatting(spare, options) == "", !unknown_version)
            << "a newer version's spare may be alive";
    }
}

TEST(FormatSpare, P8_ALiveSpareThatClaimsTheImpossibleIsCountedOnlyAsFarAsItGoes) {
    Live spare;
    spare.edit_superblocks([](dmr_superblock& sb) {
        const std::uint64_t linear = dmr_linear_size(1ull << 62), slots = 1ull << 49;
        sb.spare_size = dmr_to_le64(1ull << 62);
        sb.slots = sb.table_ready = dmr_to_le64(slots);
        sb.slot_area = dmr_to_le64(slots * DMR_ENTRY_SIZE);
        sb.second_table = dmr_to_le64((linear - slots * DMR_ENTRY_SIZE) / 4096 * 4096);
        ASSERT_TRUE(dmr_geometry_sane(&sb));
    });
    FormatOptions options;
    expect_words(formatting(spare, options), {"dm-remap spare " + spare.uuid(), "--destroy="});
    options.destroy_uuid = spare.uuid();
    EXPECT_EQ(formatting(spare, options), "");
}

TEST(FormatSpare, DevicesThatFailAreSaid) {
    const std::vector<std::pair<Op, Words>> failures = {{Op::write, {"copy 0"}},
                                                        {Op::write, {"copy 2"}},
                                                        {Op::write, {"first 3"}},
                                                        {Op::write, {"second 7"}},
                                                        {Op::flush, {"flush"}}};
    for (const auto& [op, places] : failures) {
        Live spare;
        FormatOptions options;
        options.destroy_uuid = spare.uuid();
        spare.fail(op, places);
        const auto main = spare.main->device(), device = spare.spare->device();
        try {
            format_spare(*main, *device, options);
            ADD_FAILURE() << "formatted, though " << places.front() << " failed";
        } catch (const Refusal& refusal) {
            EXPECT_EQ(refusal.kind(), RefusalKind::system);
            expect_words(refusal.what(), {"SPARE-1", "Input/output error"});
        }
    }
}

// The power goes off at each call of a format over a live spare: the old one is whole, or there is
// none, or the new one is whole; never a mixture, and never the old one again after it was gone.
TEST(FormatSpare, P3_ACrashLeavesTheOldSpareOrNoneOrTheNewOne) {
    std::set<std::string> seen;
    bool finished = false;
    for (std::uint64_t cut = 1; !finished; cut++) {
        for (unsigned seed = 0; seed < 3; seed++) {
            SCOPED_TRACE("call " + std::to_string(cut) + ", seed " + std::to_string(seed));
            Live spare;
            const std::string old = spare.uuid();
            FormatOptions options;
            options.destroy_uuid = old;
            options.uuid = kUuid;
            spare.set_cache(true);
            {
                const auto main = spare.main->device(), device = spare.spare->device();
                spare.power->cut_at(cut);
                try {
                    format_spare(*main, *device, options);
                    finished = true;
                } catch (const Refusal&) {
                }
            }
            std::mt19937_64 rng(seed);
            spare.spare->lose(seed == 0 ? nullptr : &rng);
            spare.power->on();
            const auto device = spare.spare->device();
            const SpareReport report = examine_spare(*device, true);
            if (!report.has_superblock) {
                EXPECT_FALSE(finished);
                seen.insert("none");
                continue;
            }
            const std::string found = uuid_text(report.superblock.uuid);
            EXPECT_TRUE(report.fatal.empty()) << report.fatal.front();
            EXPECT_TRUE(found == (finished ? kUuid : found));
            EXPECT_EQ(report.table.remapped, found == old ? 1u : 0u);
            seen.insert(found == old ? "old" : "new");
            spare.set_cache(false);
            EXPECT_NO_THROW(spare.open());
            spare.close();
        }
        ASSERT_LT(cut, 1000u);
    }
    EXPECT_EQ(seen, (std::set<std::string>{"old", "none", "new"}));
}

}  // namespace
}  // namespace dmremap::test
