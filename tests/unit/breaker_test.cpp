// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/breaker.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint32_t kRegions = 4;

// A main of 64 MiB that answers, or not, as the test says.
struct Bench {
    explicit Bench(std::uint32_t regions = kRegions)
        : breaker(*main, map, counters, board, regions) {}

    void answer(int error, Op op = Op::read) {
        medium->set_hook([error, op](const Call& call) { return call.op == op ? error : 0; });
    }
    bool allows_at(std::uint64_t region, Op op = Op::read) {
        return breaker.allows(op, region * kRegionSize);
    }
    unsigned count(EventKind kind) const {
        unsigned n = 0;
        for (const Event& event : events) n += event.kind == kind ? 1 : 0;
        return n;
    }

    std::shared_ptr<Medium> medium =
        std::make_shared<Medium>("MAIN-1", 64ull << 20, 512, 512, std::make_shared<Power>());
    std::unique_ptr<Device> main = medium->device();
    Counters counters;
    std::vector<Event> events;
    StateBoard board{[this](const Event& event) { events.push_back(event); }};
    RemapMap map{64ull << 20, 1000};
    Breaker breaker;
};

TEST(Breaker, BadSpotsAmongGoodOnesAreAllowed) {
    Bench bench;
    bench.breaker.learn();
    for (std::uint64_t region = 0; region < 60; region++) {
        bench.counters.main_call(Op::read, true);
        EXPECT_TRUE(bench.allows_at(region));
    }
    EXPECT_EQ(bench.board.state(), State::healthy);
}

TEST(Breaker, ManyBadSpotsInFewRegionsAreAllowed) {
    Bench bench;
    bench.breaker.learn();
    for (unsigned i = 0; i < 100; i++) {
        EXPECT_TRUE(bench.allows_at(i % (kRegions - 1)));
    }
}

TEST(Breaker, P6_FailuresInManyRegionsAndNoSuccessTripIt) {
    for (const Op op : {Op::read, Op::write}) {
        Bench bench;
        bench.breaker.learn();
        for (std::uint64_t region = 0; region + 1 < kRegions; region++) {
            EXPECT_TRUE(bench.allows_at(region, op));
        }
        EXPECT_FALSE(bench.allows_at(kRegions, op));
        EXPECT_FALSE(bench.allows_at(0, op)) << "tripped is tripped";
        EXPECT_EQ(bench.board.state(), State::failed);
        EXPECT_TRUE(bench.board.active("breaker"));
        EXPECT_EQ(bench.count(EventKind::breaker_tripped), 1u);
    }
}

TEST(Breaker, SuccessesOfTheOtherDirectionDoNotCount) {
    Bench bench;
    bench.breaker.learn();
    bool allowed = true;
    for (std::uint64_t region = 0; region < kRegions; region++) {
        bench.counters.main_call(Op::read, true);
        allowed = bench.allows_at(region, Op::write);
    }
    EXPECT_FALSE(allowed);
}

TEST(Breaker, ZeroRegionsMeansNever) {
    Bench bench(0);
    bench.breaker.learn();
    for (std::uint64_t region = 0; region < 60; region++) {
        EXPECT_TRUE(bench.allows_at(region));
    }
}

TEST(Breaker, P6_WhenKnownGoodBlocksFailNothingIsMoved) {
    Bench bench;
    bench.breaker.learn();
    bench.answer(EIO);
    EXPECT_FALSE(bench.allows_at(5));
    EXPECT_TRUE(bench.board.active("breaker"));
    bench.answer(0);
    EXPECT_FALSE(bench.allows_at(5)) << "nothing has succeeded since";
    bench.counters.main_call(Op::read, true);
    EXPECT_TRUE(bench.allows_at(5)) << "they answer again";
    EXPECT_EQ(bench.board.state(), State::healthy);
    EXPECT_EQ(bench.count(EventKind::breaker_reset), 1u);
}

TEST(Breaker, OneKnownGoodBlockIsEnough) {
    Bench bench;
    bench.breaker.learn();
    Fault bad;
    bad.read = true;
    bench.medium->set_fault(0, 8, bad);
    EXPECT_TRUE(bench.allows_at(0));
}

TEST(Breaker, ItLearnsNoBlockThatIsRemappedOrBad) {
    Bench bench;
    Remap remap;
    remap.block = 0;
    bench.map.put(remap);
    Fault bad;
    bad.read = true;
    bench.medium->set_fault((64ull << 20) / 16 / kSector, 8, bad);
    auto log = std::make_shared<Medium::Log>();
    bench.medium->set_log(log);
    bench.breaker.learn();
    for (const Call& call : log->take()) {
        EXPECT_NE(call.offset, 0u);
    }
    bench.allows_at(3);
    for (const Call& call : log->take()) {
        EXPECT_NE(call.offset, (64ull << 20) / 16);
    }
}

TEST(Breaker, P6_ADeviceThatIsGoneTripsItUntilItAnswers) {
    Bench bench;
    bench.breaker.learn();
    bench.answer(ENODEV);
    bench.breaker.device_gone(ENODEV);
    EXPECT_TRUE(bench.board.active("device_gone"));
    bench.breaker.device_gone(ENODEV);
    EXPECT_EQ(bench.count(EventKind::device_gone), 1u);
    EXPECT_EQ(bench.count(EventKind::breaker_tripped), 1u);
    bench.breaker.try_reset();
    EXPECT_TRUE(bench.board.active("device_gone"));
    EXPECT_FALSE(bench.allows_at(1));
    bench.answer(0);
    bench.counters.main_call(Op::read, true);
    bench.breaker.try_reset();
    EXPECT_EQ(bench.board.state(), State::healthy);
    EXPECT_TRUE(bench.allows_at(1));
}

TEST(Breaker, P6_KnownGoodBlocksThatGoBadOneByOneAreReplaced) {
    Bench bench;
    bench.breaker.learn();
    Fault bad;
    bad.read = true;
    for (std::uint64_t place = 0; place < 15; place++) {
        bench.medium->set_fault(place * (64ull << 20) / 16 / kSector, 8, bad);
        bench.counters.main_call(Op::read, true);
        EXPECT_TRUE(bench.allows_at(place)) << place;
    }
    bench.medium->set_fault(15 * (64ull << 20) / 16 / kSector, 8, bad);
    EXPECT_FALSE(bench.allows_at(15)) << "no block known to be good is left";
    EXPECT_FALSE(bench.allows_at(15)) << "and not knowing any is no excuse later";
}

// Want of resources says nothing of main: it trips nothing, and no good block is forgotten for it.
TEST(Breaker, P6_WantOfResourcesTripsNothing) {
    for (const int error : {ENOMEM, EAGAIN, EINTR, ENOSPC}) {
        SCOPED_TRACE(error);
        Bench bench;
        bench.breaker.learn();
        bench.answer(error);
        for (int i = 0; i < 3; i++) {
            EXPECT_TRUE(bench.allows_at(1));
        }
        EXPECT_EQ(bench.board.state(), State::healthy);
        EXPECT_EQ(bench.count(EventKind::breaker_tripped), 0u);
        auto log = std::make_shared<Medium::Log>();
        bench.medium->set_log(log);
        bench.answer(0);
        EXPECT_TRUE(bench.allows_at(1));
        EXPECT_EQ(log->take().size(), 1u) << "the good blocks are known still";
        bench.answer(EIO);
        EXPECT_FALSE(bench.allows_at(1));
        // Nor does it prove that main is back.
        bench.answer(error);
        bench.counters.main_call(Op::read, true);
        EXPECT_FALSE(bench.allows_at(1));
        bench.answer(0);
        bench.counters.main_call(Op::read, true);
        EXPECT_TRUE(bench.allows_at(1));
    }
}

TEST(Breaker, P6_AnErrorThatPassesAtTheSecondTryIsNone) {
    Bench bench;
    bench.medium->set_hook(
        [calls = 0](const Call&) mutable { return ++calls % 2 == 1 ? ENOMEM : Medium::kPass; });
    bench.breaker.learn();
    bench.answer(EIO);
    EXPECT_FALSE(bench.allows_at(1)) << "some blocks were known to be good";
}

// What tripped in the writing direction is not proven well by reading.
TEST(Breaker, ItResetsOnlyByASuccessOfTheDirectionThatTripped) {
    Bench bench;
    bench.breaker.learn();
    for (std::uint64_t region = 0; region < kRegions; region++) {
        bench.allows_at(region, Op::write);
    }
    bench.counters.main_call(Op::read, true);
    bench.breaker.try_reset();
    EXPECT_TRUE(bench.board.active("breaker"));
    bench.counters.main_call(Op::write, true);
    bench.breaker.try_reset();
    EXPECT_FALSE(bench.board.active("breaker"));
    EXPECT_TRUE(bench.allows_at(9, Op::write));
}

}  // namespace
}  // namespace dmremap::test
