// SPDX-License-Identifier: GPL-2.0-or-later
// Corruption sweep, the large end: all copies but one destroyed, all of them, and the two copies of
// a table damaged at different entries.
//
// PROVES that one good copy of each thing is enough, wherever it is; and that where none is left
// nobody guesses: the spare is refused with the reason, stays byte for byte what it was, format
// does not take it for an empty device, and ro,rescue reads all that is still known.
// DOES NOT PROVE that a rescue is right about blocks whose entry is gone: nobody can know.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/meta/format_spare.h"
#include "core/refusal.h"
#include "tests/sweeps/cases.h"
#include "tests/sweeps/damaged_spare.h"
#include "tests/sweeps/pasts.h"
#include "tests/sweeps/places.h"

namespace dmremap::test {
namespace {

constexpr const char* kNoGoodCopy = "no good copy";

class Destroyed : public testing::TestWithParam<Past> {
protected:
    bool begin(const std::string& what) {
        name_ = std::string(GetParam().name) + ": " + what;
        spare_.restore();
        return cases_.wanted(name_);
    }
    bool hit(const Place& place, const Kind& kind) {
        return damage(spare_, history_, stranger_.get(), place, kind);
    }
    Place superblock(unsigned copy) const {
        return superblock_places(history_, copy, DMR_SUPERBLOCK_SIZE).front();
    }
    Place entry(unsigned copy, std::uint64_t slot) const {
        const std::uint64_t at = history_.entry_offset(static_cast<int>(copy), slot);
        return {Place::table, copy, at / kSector * kSector, kSector, 0, true};
    }
    // The 32 bytes of an entry alone.
    void hit_entry(unsigned copy, std::uint64_t slot, const Kind& kind) {
        const std::uint64_t at = history_.entry_offset(static_cast<int>(copy), slot);
        if (kind.what == Kind::zeros || kind.what == Kind::ones)
            spare_.fill(at, DMR_ENTRY_SIZE,
                        std::byte{static_cast<unsigned char>(kind.what == Kind::zeros ? 0 : 0xff)});
        else
            spare_.garble(at, DMR_ENTRY_SIZE, at);
    }
    void expect(const std::string& problem) const {
        ASSERT_EQ(problem, "") << name_ << Cases::recipe(name_);
    }
    void TearDown() override { cases_.report(GetParam().name, spare_.opened()); }

    // Main blocks that live in these slots.
    std::vector<std::uint64_t> blocks_in(std::uint64_t first, std::uint64_t end) const {
        std::vector<std::uint64_t> blocks;
        for (std::uint64_t slot = first; slot < end; ++slot)
            if (history_.entry(0, slot).state == DMR_REMAPPED)
                blocks.push_back(history_.block_of(slot));
        std::sort(blocks.begin(), blocks.end());
        blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
        return blocks;
    }

    History history_{GetParam()};
    const std::unique_ptr<History> stranger_ = history_.stranger();
    DamagedSpare spare_{history_};
    Cases cases_;
    std::string name_;
};

TEST_P(Destroyed, AllSuperblocksButOne) {
    for (const Kind& kind : all_kinds(history_)) {
        if (kind.what == Kind::stranger) continue;  // refused: places_test.cpp
        for (unsigned good = 0; good < history_.copies(); ++good) {
            if (!begin("all superblocks but " + std::to_string(good) + " " + kind.name())) continue;
            for (unsigned copy = 0; copy < history_.copies(); ++copy) {
                if (copy == good || kind.what == Kind::other) continue;
                hit(superblock(copy), kind);
            }
            if (kind.what == Kind::other) hit(superblock((good + 1) % history_.copies()), kind);
            // The only good copy is not put under the pen while no other takes a write.
            const DamagedSpare::Expect as_it_must{.may_stay = kind.stays()};
            ASSERT_NO_FATAL_FAILURE(expect(kind.what == Kind::unwritable
                                               ? spare_.never_wrong()
                                               : spare_.recovers(as_it_must)));
        }
    }
}

TEST_P(Destroyed, AllSuperblocks) {
    for (const Kind& kind : destroying_kinds()) {
        if (kind.what == Kind::stranger || kind.what == Kind::other) continue;
        if (!begin("all superblocks " + kind.name())) continue;
        for (unsigned copy = 0; copy < history_.copies(); ++copy) hit(superblock(copy), kind);
        const char* const reason =
            kind.what == Kind::unreadable ? "no superblock copy" : "is not a dm-remap spare";
        ASSERT_NO_FATAL_FAILURE(expect(spare_.refused(reason)));
        const auto before = history_.pair.spare->snapshot();
        const auto main = history_.pair.main->device();
        const auto device = history_.pair.spare->device();
        EXPECT_THROW(format_spare(*main, *device, {}), Refusal) << name_;
        EXPECT_EQ(before, history_.pair.spare->snapshot()) << name_;
    }
}

TEST_P(Destroyed, OneTable) {
    for (const Kind& kind : all_kinds(history_)) {
        for (const unsigned copy : {0u, 1u}) {
            if (kind.what == Kind::other) continue;  // would be put back by the next page
            if (!begin("table " + std::to_string(copy) + " " + kind.name())) continue;
            bool changed = false;
            for (const Place& page : table_places(history_, copy, history_.page_size()))
                changed |= hit(page, kind);
            if (!changed) continue;
            ASSERT_NO_FATAL_FAILURE(expect(spare_.recovers({.may_stay = kind.stays()})));
        }
    }
}

TEST_P(Destroyed, BothTables) {
    const std::uint64_t entries = dmr_le64(history_.superblock.table_ready);
    const std::vector<std::uint64_t> blocks = blocks_in(0, entries);
    for (const Kind& kind : destroying_kinds()) {
        if (kind.what == Kind::other) continue;
        if (!begin("both tables " + kind.name())) continue;
        for (const unsigned copy : {0u, 1u})
            for (const Place& page : table_places(history_, copy, history_.page_size()))
                hit(page, kind);
        ASSERT_NO_FATAL_FAILURE(expect(spare_.rescued(kNoGoodCopy, blocks)));
    }
}

TEST_P(Destroyed, BothCopiesOfAnEntry) {
    const std::vector<Kind> kinds{{Kind::zeros}, {Kind::ones}, {Kind::garbage}};
    for (const auto& [of, slot] : history_.slots) {
        const std::vector<std::uint64_t> blocks = blocks_in(slot, slot + 1);
        for (const Kind& first : kinds)
            for (const Kind& second : kinds) {
                if (!begin(of + " entry " + first.name() + " and " + second.name())) continue;
                hit_entry(0, slot, first);
                hit_entry(1, slot, second);
                ASSERT_NO_FATAL_FAILURE(expect(spare_.rescued(kNoGoodCopy, blocks)));
            }
        // A sector is unreadable in both copies, and takes its neighbours with it.
        if (!begin(of + " entry unreadable")) continue;
        const Place sectors[2] = {entry(0, slot), entry(1, slot)};
        const std::uint64_t unit = history_.past.shape.spare_logical / DMR_ENTRY_SIZE;
        for (const Place& sector : sectors) hit(sector, {Kind::unreadable});
        ASSERT_NO_FATAL_FAILURE(expect(
            spare_.rescued(kNoGoodCopy, blocks_in(slot / unit * unit, (slot / unit + 1) * unit))));
    }
}

// Each entry's good copy wins, also where a page has no copy that is all good.
TEST_P(Destroyed, DifferentEntriesInTheTwoCopies) {
    for (const auto& [of, slot] : history_.slots)
        for (const auto& [of_other, other] : history_.slots)
            for (const Kind& kind : {Kind{Kind::zeros}, Kind{Kind::garbage}}) {
                if (slot == other) continue;
                if (!begin(of + " and " + of_other + " entry " + kind.name())) continue;
                hit_entry(0, slot, kind);
                hit_entry(1, other, kind);
                const std::uint64_t in_page = dmr_entries_per_page(&history_.superblock);
                const bool mixed = slot / in_page == other / in_page;
                ASSERT_NO_FATAL_FAILURE(expect(spare_.recovers({.may_stay = mixed})));
            }
}

TEST_P(Destroyed, AlternateSectorsOfTheTwoTables) {
    for (const Kind& kind : all_kinds(history_)) {
        if (kind.what == Kind::other) continue;
        for (const unsigned odd : {0u, 1u}) {
            if (!begin("alternate units of the tables " + kind.name() + " from " +
                       std::to_string(odd)))
                continue;
            const std::uint64_t unit = history_.past.shape.spare_logical;
            bool changed = false;
            for (const unsigned copy : {0u, 1u})
                for (const Place& place : table_places(history_, copy, unit))
                    if ((place.number + copy) % 2 == odd) changed |= hit(place, kind);
            if (!changed) continue;
            ASSERT_NO_FATAL_FAILURE(expect(spare_.recovers({.may_stay = true})));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Pasts, Destroyed, testing::ValuesIn(kPasts),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
