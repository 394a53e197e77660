// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/task_pool.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

namespace dmremap {

namespace {
constexpr std::size_t kAlignment = 4096;
}

TaskPool::TaskPool()
    : shelves_{{{4096, 64, {}}, {std::size_t{128} << 10, 32, {}}, {std::size_t{1} << 20, 8, {}}}} {
    for (Shelf& shelf : shelves_) {
        for (unsigned i = 0; i < shelf.ahead; i++) {
            Task* task = make(shelf.capacity);
            if (!task) throw std::bad_alloc();
            std::memset(task->memory, 0, task->capacity);
            shelf.tasks.bounded_push(task);
        }
    }
}

TaskPool::~TaskPool() {
    for (Shelf& shelf : shelves_) shelf.tasks.consume_all([this](Task* task) { destroy(task); });
}

TaskPool::Shelf* TaskPool::shelf_for(std::size_t length) {
    for (Shelf& shelf : shelves_)
        if (length <= shelf.capacity) return &shelf;
    return nullptr;
}

Task* TaskPool::make(std::size_t capacity) {
    const std::size_t rounded = (capacity + kAlignment - 1) / kAlignment * kAlignment;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
    Task* task = memory ? new (std::nothrow) Task : nullptr;
    if (!task) {
        std::free(memory);
        return nullptr;
    }
    task->memory = memory;
    task->capacity = capacity;
    alive_.fetch_add(1, std::memory_order_relaxed);
    return task;
}

void TaskPool::destroy(Task* task) {
    std::free(task->memory);
    delete task;
    alive_.fetch_sub(1, std::memory_order_release);
}

Task* TaskPool::take(std::size_t length) {
    Shelf* shelf = shelf_for(length);
    if (!shelf) return make(length);
    Task* task = nullptr;
    return shelf->tasks.pop(task) ? task : make(shelf->capacity);
}

void TaskPool::give_back(Task* task) {
    Shelf* shelf = shelf_for(task->capacity);
    if (!shelf || shelf->capacity != task->capacity || !shelf->tasks.bounded_push(task))
        destroy(task);
}

// Counting what is out would cost every request an atomic operation on one shared line; emptying
// the shelves and looking again costs only the end of the daemon, and only when it was cut off with
// requests under way.
void TaskPool::wait_for_all() {
    for (;;) {
        for (Shelf& shelf : shelves_)
            shelf.tasks.consume_all([this](Task* task) { destroy(task); });
        if (alive_.load(std::memory_order_acquire) == 0) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace dmremap
