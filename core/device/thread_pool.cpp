// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/thread_pool.h"

#include <algorithm>
#include <new>

namespace dmremap {

namespace {
constexpr std::size_t kFirstCapacity = 256;
}

ThreadPool::ThreadPool(unsigned threads) : tasks_(kFirstCapacity) {
    threads_.reserve(std::max(threads, 1u));
    try {
        while (threads_.size() < threads_.capacity()) threads_.emplace_back([this] { serve(); });
    } catch (...) {
        end();
        throw;
    }
}

ThreadPool::~ThreadPool() { end(); }

void ThreadPool::end() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    queued_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

bool ThreadPool::queue(const Task& task) {
    const std::lock_guard lock(mutex_);
    try {
        if (tasks_.full()) tasks_.set_capacity(tasks_.capacity() * 2);
    } catch (const std::bad_alloc&) {
        return false;
    }
    tasks_.push_back(task);
    return true;
}

void ThreadPool::run(Work work, void* subject, void* argument) noexcept {
    if (queue({work, subject, argument}))
        queued_.notify_one();
    else
        work(subject, argument);
}

void ThreadPool::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        queued_.wait(lock, [this] { return closing_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        const Task task = tasks_.front();
        tasks_.pop_front();
        lock.unlock();
        task.work(task.subject, task.argument);
        lock.lock();
    }
}

}  // namespace dmremap
