// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <numeric>
#include <vector>

namespace dmremap {
namespace {

TEST(ThreadPool, RunsAllThatWasQueuedBeforeItEnds) {
    std::atomic<int> ran{0};
    {
        ThreadPool pool(3);
        for (int i = 0; i < 5000; ++i)
            pool.run([](void* count, void*) { ++*static_cast<std::atomic<int>*>(count); }, &ran,
                     nullptr);
    }
    EXPECT_EQ(ran, 5000);
}

TEST(ThreadPool, OneThreadKeepsTheOrderOfArrivalAlsoWhenTheQueueGrows) {
    struct Log {
        std::promise<void> all_queued;
        std::vector<int> order;
    } log;
    std::vector<int> numbers(2000);
    std::iota(numbers.begin(), numbers.end(), 0);
    {
        ThreadPool pool(1);
        pool.run([](void* l, void*) { static_cast<Log*>(l)->all_queued.get_future().wait(); }, &log,
                 nullptr);
        for (int& number : numbers)
            pool.run([](void* l,
                        void* n) { static_cast<Log*>(l)->order.push_back(*static_cast<int*>(n)); },
                     &log, &number);
        log.all_queued.set_value();
    }
    EXPECT_EQ(log.order, numbers);
}

TEST(ThreadPool, WorksInParallel) {
    // Two tasks that each need the other to have started: one thread alone would never finish.
    struct Meeting {
        std::promise<void> first, second;
    } meeting;
    ThreadPool pool(2);
    pool.run(
        [](void* m, void*) {
            static_cast<Meeting*>(m)->first.set_value();
            static_cast<Meeting*>(m)->second.get_future().wait();
        },
        &meeting, nullptr);
    pool.run(
        [](void* m, void*) {
            static_cast<Meeting*>(m)->first.get_future().wait();
            static_cast<Meeting*>(m)->second.set_value();
        },
        &meeting, nullptr);
}

TEST(ThreadPool, WorkMayQueueMoreWork) {
    struct Chain {
        ThreadPool* pool;
        int left;
        std::promise<void> end;
    };
    ThreadPool pool(2);
    Chain chain{&pool, 100, {}};
    ThreadPool::Work work = [](void* c, void* again) {
        Chain& links = *static_cast<Chain*>(c);
        if (--links.left == 0)
            links.end.set_value();
        else
            links.pool->run(*static_cast<ThreadPool::Work*>(again), c, again);
    };
    pool.run(work, &chain, &work);
    chain.end.get_future().wait();
    EXPECT_EQ(chain.left, 0);
}

}  // namespace
}  // namespace dmremap
