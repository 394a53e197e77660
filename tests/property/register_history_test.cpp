// SPDX-License-Identifier: GPL-2.0-or-later
// The judge of the races is judged against the definition: every order of a few operations, tried.
// A write that may happen more than once is that many writes: one for itself and one for each of
// its reads is enough, for a further one next to another of the same value changes nothing.
#include "tests/property/register_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace dmremap::test {
namespace {

struct Operation {
    bool write;
    std::uint64_t value;
    std::uint64_t start, end;
};

// By the definition: an order that keeps "ended before the other started" and in which every read
// returns what the last write before it wrote.
bool some_order_explains(const std::vector<Operation>& operations) {
    std::vector<std::size_t> order(operations.size());
    std::iota(order.begin(), order.end(), 0u);
    do {
        bool good = true;
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < order.size() && good; ++i) {
            const Operation& operation = operations[order[i]];
            for (std::size_t j = i + 1; j < order.size(); ++j)
                good = good && operations[order[j]].end >= operation.start;
            if (operation.write)
                value = operation.value;
            else
                good = good && value == operation.value;
        }
        if (good) return true;
    } while (std::next_permutation(order.begin(), order.end()));
    return false;
}

TEST(RegisterHistory, AgreesWithTheDefinition) {
    std::mt19937_64 rng(1);
    unsigned right = 0, wrong = 0;
    for (unsigned n = 0; n < 5000; ++n) {
        const std::size_t count = 2 + rng() % 3;
        std::vector<std::uint64_t> times(2 * count);
        std::iota(times.begin(), times.end(), 1u);
        std::shuffle(times.begin(), times.end(), rng);
        std::vector<Operation> operations;
        std::uint64_t writes = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const bool write = rng() % 2 == 0;
            operations.push_back({write, write ? ++writes : rng() % (count / 2 + 1),
                                  std::min(times[2 * i], times[2 * i + 1]),
                                  std::max(times[2 * i], times[2 * i + 1])});
        }
        RegisterHistory history(0);
        for (const Operation& operation : operations)
            operation.write ? history.wrote(operation.value, operation.start, operation.end)
                            : history.read(operation.value, operation.start, operation.end);
        for (std::size_t i = 0; i < count; ++i) {
            const Operation read = operations[i];
            for (std::size_t j = 0; !read.write && j < count; ++j)
                if (operations[j].write && operations[j].value == read.value)
                    operations.push_back(operations[j]);
        }
        const bool expected = some_order_explains(operations);
        ASSERT_EQ(history.problem().empty(), expected) << "case " << n << ": " << history.problem();
        ++(expected ? right : wrong);
    }
    EXPECT_GT(right, 500u);
    EXPECT_GT(wrong, 500u);
}

TEST(RegisterHistory, AWriteMayHappenAgainUntilItEnds) {
    RegisterHistory history(0);
    history.wrote(1, 1, 20);
    history.read(1, 2, 3);
    history.wrote(2, 4, 5);
    history.read(2, 6, 7);
    history.read(1, 8, 9);
    EXPECT_EQ(history.problem(), "");
    history.read(1, 21, 22);
    EXPECT_EQ(history.problem(), "");
    history.read(2, 23, 24);
    EXPECT_NE(history.problem(), "");
}

TEST(RegisterHistory, AFailedWriteMayHappenOrNot) {
    RegisterHistory history(0);
    history.wrote(1, 1, RegisterHistory::kNever);
    history.read(0, 2, 3);
    EXPECT_EQ(history.problem(), "");
    history.read(1, 10, 11);
    EXPECT_EQ(history.problem(), "");
    history.wrote(2, 12, 13);
    history.read(1, 14, 15);
    EXPECT_EQ(history.problem(), "");
    history.read(0, 16, 17);
    EXPECT_NE(history.problem(), "");
}

}  // namespace
}  // namespace dmremap::test
