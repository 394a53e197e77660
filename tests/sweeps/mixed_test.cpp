// SPDX-License-Identifier: GPL-2.0-or-later
// Corruption sweep, drawn by chance: many damages of all kinds at once.
//
// PROVES, as far as chance goes, that
//   * while each thing keeps one good copy, damage of any kinds at any number of places in any
//     copies costs nothing, and the disk lives on: new slots are given, none in use is given twice
//   * where things have no good copy left, or all superblocks are old, the answer is a refusal or
//     the right data, never wrong data.
// DOES NOT PROVE anything about
//   * an entry of which one copy is old and the other destroyed: that is two faults in one thing,
//     and cannot be told from an entry that was never changed
//   * pages that take no writes, many at once: where no page with two good copies has a free slot
//     left, an entry can not be committed, and its block is fenced until the next opening (EIO).
//     One such place at a time: places_test.cpp.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/sweeps/cases.h"
#include "tests/sweeps/damaged_spare.h"
#include "tests/sweeps/pasts.h"
#include "tests/sweeps/places.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kUsualCases = 60;

class Mixed : public testing::TestWithParam<Past> {
protected:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    template <typename T>
    const T& any(const std::vector<T>& all) {
        return all[below(all.size())];
    }

    // Calls one(seed) for as many seeds as are wanted.
    template <typename One>
    void for_seeds(One one) {
        const bool replay = is_replay();
        const auto end = end_of_time();
        const std::uint64_t cases =
            std::max<std::uint64_t>(1, kUsualCases / from_environment("DMREMAP_EVERY", 1));
        std::uint64_t seed = first_seed();
        for (std::uint64_t n = 0; n < cases || (!replay && std::chrono::steady_clock::now() < end);
             ++n, ++seed) {
            random_.seed(seed);
            spare_.restore();
            ++cases_;
            ASSERT_EQ(one(), "") << done_ << "\n  replay: DMREMAP_SEED=" << seed
                                 << " build/bin/sweep_tests --gtest_filter=" << Cases::filter();
            if (replay) break;
        }
        std::cout << GetParam().name << ": " << cases_ << " cases, " << spare_.opened()
                  << " openings\n";
    }

    void hit(const Place& place, const Kind& kind) {
        done_ += "\n  " + place.name() + " " + kind.name();
        damage(spare_, history_, stranger_.get(), place, kind);
    }

    // Damages some superblock copies but never all.
    void hit_superblocks() {
        const std::uint64_t good = below(history_.copies());
        for (unsigned copy = 0; copy < history_.copies(); ++copy) {
            if (copy == good || below(2) == 0) continue;
            const std::uint64_t unit = below(2) == 0 ? DMR_SUPERBLOCK_SIZE : kSector;
            Kind kind = any(kinds_);
            if (kind.what == Kind::other) kind.what = Kind::garbage;  // would hit the good one
            if (kind.what == Kind::unwritable) kind.what = Kind::unreadable_for_good;
            if (kind.what == Kind::stranger && unit == DMR_SUPERBLOCK_SIZE)
                kind.what = Kind::zeros;  // refused: places_test.cpp
            hit(any(superblock_places(history_, copy, unit)), kind);
        }
    }

    // Damages some units of the tables, each in one copy.
    void hit_tables() {
        const std::uint64_t unit = history_.past.shape.spare_logical;
        const auto first = table_places(history_, 0, unit);
        const auto second = table_places(history_, 1, unit);
        const std::uint64_t rarely = std::uint64_t{1} << below(6);
        const bool one_table = below(2) == 0;
        for (std::size_t i = 0; i < first.size(); ++i) {
            if (below(rarely) != 0) continue;
            Kind kind = any(kinds_);
            if (kind.what == Kind::other) kind.what = Kind::garbage;  // would hit another unit, too
            if (kind.what == Kind::unwritable) kind.what = Kind::unreadable_for_good;
            hit(one_table || below(2) == 0 ? first[i] : second[i], kind);
        }
    }

    std::string as_it_must() {
        const DamagedSpare::Expect expect{.noticed = false, .may_stay = true};
        switch (below(3)) {
            case 0:
                return spare_.opens_twice(expect);
            case 1:
                return spare_.repairs(expect);
            default:
                return spare_.lives_on();
        }
    }

    void SetUp() override { kinds_ = all_kinds(history_); }

    History history_{GetParam()};
    const std::unique_ptr<History> stranger_ = history_.stranger();
    DamagedSpare spare_{history_};
    std::vector<Kind> kinds_;
    std::mt19937_64 random_;
    std::string done_;
    std::uint64_t cases_ = 0;
};

TEST_P(Mixed, OneGoodCopyOfEachThing) {
    for_seeds([this] {
        done_.clear();
        hit_superblocks();
        hit_tables();
        return as_it_must();
    });
}

// All superblocks are old, or some units have no copy left.
TEST_P(Mixed, MoreThanThePromiseCovers) {
    for_seeds([this] {
        done_.clear();
        if (below(2) == 0) {
            for (unsigned copy = 0; copy < history_.copies(); ++copy)
                hit(superblock_places(history_, copy, DMR_SUPERBLOCK_SIZE).front(),
                    {Kind::older, below(history_.older.size())});
            hit_tables();
            return spare_.never_wrong();
        }
        const std::uint64_t unit = below(2) == 0 ? history_.past.shape.spare_logical : kBlock;
        const std::vector<Kind> destroying = destroying_kinds();
        const auto first = table_places(history_, 0, unit);
        const auto second = table_places(history_, 1, unit);
        for (std::uint64_t units = 1 + below(4); units != 0; --units) {
            const std::uint64_t i = below(first.size());
            hit(first[i], any(destroying));
            hit(second[i], any(destroying));
        }
        hit_superblocks();
        return spare_.never_wrong();
    });
}

INSTANTIATE_TEST_SUITE_P(Pasts, Mixed, testing::ValuesIn(kPasts),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
