// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/task_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace dmremap {
namespace {

TEST(TaskPool, MemoryIsLargeEnoughAlignedAndNobodyElses) {
    TaskPool pool;
    std::vector<Task*> tasks;
    std::set<std::byte*> memory;
    for (const std::size_t length :
         {0ul, 1ul, 4096ul, 4097ul, 131072ul, 1ul << 20, (1ul << 20) + 1})
        for (int i = 0; i < 20; i++) {
            Task* task = pool.take(length);
            ASSERT_NE(task, nullptr);
            EXPECT_GE(task->capacity, length);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(task->memory) % 4096, 0u);
            EXPECT_TRUE(memory.insert(task->memory).second);
            std::memset(task->memory, 1, task->capacity);
            tasks.push_back(task);
        }
    for (Task* task : tasks) pool.give_back(task);
}

TEST(TaskPool, WaitsForThoseStillOut) {
    TaskPool pool;
    Task* task = pool.take(5000);
    std::thread other([&] { pool.give_back(task); });
    pool.wait_for_all();
    other.join();
}

}  // namespace
}  // namespace dmremap
