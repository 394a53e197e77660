// SPDX-License-Identifier: GPL-2.0-or-later
// Tasks: a request to the disk with the memory it needs, kept for the next one.
//
// libfuse's own buffer is not aligned and dies when the handler returns, while a request may be
// parked for long; so each request owns a task. Taking and giving back are lock-free and allocate
// nothing as long as the tasks made ahead last, since this daemon may be asked for memory's sake:
// it can be the very disk that dirty pages are written to. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <boost/lockfree/stack.hpp>
#include <cstddef>

#include "fuse/image_access.h"
#include "fuse/reply_channel.h"

namespace dmremap {

struct Task {
    ImageRequest request;
    std::byte* memory = nullptr;  // `capacity` bytes, aligned to 4096
    std::size_t capacity = 0;
    void* owner = nullptr;     // the taker's
    void* reply_to = nullptr;  // the taker's
    ReplyWay way;              // the taker's
};

class TaskPool {
public:
    // Makes tasks ahead and touches their memory; throws std::bad_alloc.
    TaskPool();
    ~TaskPool();  // every task must be back
    TaskPool(const TaskPool&) = delete;
    TaskPool& operator=(const TaskPool&) = delete;

    Task* take(std::size_t length);  // null when there is no memory
    void give_back(Task* task);

    // Returns when every task that was taken has come back. Nobody may take one meanwhile.
    void wait_for_all();

private:
    static constexpr std::size_t kMostKept = 256;
    struct Shelf {
        std::size_t capacity;
        unsigned ahead;  // made by the constructor
        boost::lockfree::stack<Task*, boost::lockfree::capacity<kMostKept>> tasks;
    };

    Shelf* shelf_for(std::size_t length);
    Task* make(std::size_t capacity);
    void destroy(Task* task);

    std::array<Shelf, 3> shelves_;
    std::atomic<std::size_t> alive_{0};  // changes only when a task is made or destroyed
};

}  // namespace dmremap
