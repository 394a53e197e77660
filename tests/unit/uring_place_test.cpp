// SPDX-License-Identifier: GPL-2.0-or-later
// Each test plays a loop on a thread of its own, and asks the system where that thread may run.
#include "fuse/uring_place.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>

namespace dmremap {
namespace {

cpu_set_t allowed() {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(::sched_getaffinity(0, sizeof(set), &set), 0);
    return set;
}

bool same(const cpu_set_t& a, const cpu_set_t& b) { return CPU_EQUAL(&a, &b); }

bool on_one(std::uint16_t processor) {
    const cpu_set_t set = allowed();
    return CPU_COUNT(&set) == 1 && CPU_ISSET(processor, &set);
}

// Where nothing is allowed but one processor, to be bound to it looks like nothing.
std::uint16_t first_processor() {
    const cpu_set_t set = allowed();
    for (std::uint16_t processor = 0; processor < CPU_SETSIZE; processor++)
        if (CPU_ISSET(processor, &set)) return processor;
    return 0;
}

void on_a_thread(const std::function<void()>& body) { std::thread(body).join(); }

void serve_alone(UringPlace& place, std::uint16_t queue, unsigned requests) {
    for (unsigned i = 0; i < requests; i++) place.serve(queue, true);
}

TEST(UringPlace, WhoServesOneRequestAtATimeGoesToItsProcessor) {
    on_a_thread([] {
        const cpu_set_t before = allowed();
        const std::uint16_t processor = first_processor();
        UringPlace place;
        serve_alone(place, processor, UringPlace::kInARow - 1);
        EXPECT_TRUE(same(allowed(), before)) << "too soon";
        place.serve(processor, true);
        EXPECT_TRUE(on_one(processor));
        serve_alone(place, processor, 10 * UringPlace::kInARow);
        EXPECT_TRUE(on_one(processor)) << "it does not stay";
    });
}

TEST(UringPlace, TheSecondRequestAtATimeFreesIt) {
    on_a_thread([] {
        const cpu_set_t before = allowed();
        const std::uint16_t processor = first_processor();
        UringPlace place;
        serve_alone(place, processor, 2 * UringPlace::kInARow);
        place.serve(processor, false);
        EXPECT_TRUE(same(allowed(), before));
        serve_alone(place, processor, UringPlace::kInARow - 1);
        EXPECT_TRUE(same(allowed(), before)) << "those before it count";
        place.serve(processor, true);
        EXPECT_TRUE(on_one(processor)) << "it does not come back";
    });
}

TEST(UringPlace, ARequestOfAnotherQueueFreesIt) {
    on_a_thread([] {
        const cpu_set_t before = allowed();
        const std::uint16_t processor = first_processor();
        UringPlace place;
        serve_alone(place, processor, 2 * UringPlace::kInARow);
        place.serve(static_cast<std::uint16_t>(processor + 1), true);
        EXPECT_TRUE(same(allowed(), before));
    });
}

TEST(UringPlace, WhoServesTwoQueuesByTurnsStaysFree) {
    on_a_thread([] {
        const cpu_set_t before = allowed();
        const std::uint16_t processor = first_processor();
        UringPlace place;
        for (unsigned i = 0; i < 4 * UringPlace::kInARow; i++)
            place.serve(static_cast<std::uint16_t>(processor + i % 2), true);
        EXPECT_TRUE(same(allowed(), before));
    });
}

// As by taskset, or for a processor that is kept for somebody else.
TEST(UringPlace, AProcessorThatIsNotAllowedIsLeftAlone) {
    const std::uint16_t processor = first_processor();
    cpu_set_t others = allowed();
    CPU_CLR(processor, &others);
    if (CPU_COUNT(&others) == 0) GTEST_SKIP() << "SKIP: there is one processor alone";
    on_a_thread([&] {
        ASSERT_EQ(::sched_setaffinity(0, sizeof(others), &others), 0);
        UringPlace place;
        serve_alone(place, processor, 4 * UringPlace::kInARow);
        EXPECT_TRUE(same(allowed(), others));
        place.serve(processor, false);
        EXPECT_TRUE(same(allowed(), others));
    });
}

TEST(UringPlace, AProcessorBehindThoseOfASetIsLeftAlone) {
    on_a_thread([] {
        const cpu_set_t before = allowed();
        UringPlace place;
        serve_alone(place, 0xffff, 4 * UringPlace::kInARow);
        EXPECT_TRUE(same(allowed(), before));
    });
}

TEST(UringCrowd, SaysWhoIsTheOnlyOneOfItsQueue) {
    UringCrowd crowd(2);
    EXPECT_TRUE(crowd.enter(0));
    EXPECT_TRUE(crowd.enter(1));
    EXPECT_FALSE(crowd.enter(0));
    crowd.leave(0);
    EXPECT_FALSE(crowd.enter(0));
    crowd.leave(0);
    crowd.leave(0);
    EXPECT_TRUE(crowd.enter(0));
}

}  // namespace
}  // namespace dmremap
