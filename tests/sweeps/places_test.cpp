// SPDX-License-Identifier: GPL-2.0-or-later
// Corruption sweep: each sector, block and page of each copy of the metadata, befallen by each kind
// of damage (places.h), one place at a time.
//
// PROVES that the other copy wins with nothing lost, by every way in, and that what can be written
// again is repaired.
// DOES NOT PROVE what happens when a copy is bad while another is behind, beyond the one place of
// the past "one copy behind": a change that could be committed to one copy only is durable once, as
// FORMAT.md says.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/sweeps/cases.h"
#include "tests/sweeps/damaged_spare.h"
#include "tests/sweeps/pasts.h"
#include "tests/sweeps/places.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kUsualEvery = 8;

class Places : public testing::TestWithParam<Past> {
protected:
    void sweep(const Place& place) {
        for (const Kind& kind : all_kinds(history_)) {
            const std::string name =
                std::string(GetParam().name) + ": " + place.name() + " " + kind.name();
            if (!cases_.wanted(name)) continue;
            const bool mixed_up = place.of == Place::superblock && kind.what == Kind::stranger &&
                                  place.length == DMR_SUPERBLOCK_SIZE;
            spare_.restore();
            if (!damage(spare_, history_, stranger_.get(), place, kind)) {
                cases_.was_none();
                continue;
            }
            const DamagedSpare::Expect expect{.noticed = place.holds_entries && !behind_,
                                              .may_stay = kind.stays()};
            ASSERT_EQ(mixed_up ? spare_.refused("two different spares") : spare_.recovers(expect),
                      "")
                << name << Cases::recipe(name);
        }
    }

    void sweep(const std::vector<Place>& places) {
        for (const Place& place : places) ASSERT_NO_FATAL_FAILURE(sweep(place));
    }

    void TearDown() override { cases_.report(GetParam().name, spare_.opened()); }

    History history_{GetParam()};
    const std::unique_ptr<History> stranger_ = history_.stranger();
    DamagedSpare spare_{history_};
    Cases cases_{kUsualEvery};
    const bool behind_ = GetParam().one_copy_behind;
};

TEST_P(Places, OfSuperblocks) {
    for (unsigned copy = 0; copy < history_.copies(); ++copy)
        for (const std::uint64_t unit : {kSector, kBlock})
            ASSERT_NO_FATAL_FAILURE(sweep(superblock_places(history_, copy, unit)));
}

TEST_P(Places, OfTheTable) {
    for (const unsigned copy : {0u, 1u}) {
        if (behind_ && copy == 0) continue;  // holds what the other lacks
        for (const std::uint64_t unit : {kSector, kBlock, history_.page_size()}) {
            if (unit == kBlock && history_.page_size() == kBlock) continue;
            ASSERT_NO_FATAL_FAILURE(sweep(table_places(history_, copy, unit)));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Pasts, Places, testing::ValuesIn(kPasts),
                         [](const auto& info) { return std::string(info.param.name); });
INSTANTIATE_TEST_SUITE_P(Behind, Places, testing::Values(kOneCopyBehind),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
