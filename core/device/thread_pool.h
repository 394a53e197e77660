// SPDX-License-Identifier: GPL-2.0-or-later
// A few threads that run what they are given, in order of arrival: the fallback engine under a
// device whose system calls block.
//
// Any thread may call run(), the pool's own included. Work must not throw. The destructor runs all
// that was queued before it returns; nothing may be queued by others once it has begun.
//
// Where there is no memory for a longer queue, run() calls the work itself: so whoever calls it
// must be able to bear that, holding no lock that the work takes.
#pragma once

#include <boost/circular_buffer.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace dmremap {

class ThreadPool {
public:
    // Throws bad_alloc or system_error when the threads cannot be had.
    explicit ThreadPool(unsigned threads);
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool();

    // Calls work(subject, argument) on a thread of the pool. Two pointers and no std::function, so
    // that queueing allocates nothing once the queue has grown to its usual depth.
    using Work = void (*)(void* subject, void* argument);
    void run(Work work, void* subject, void* argument) noexcept;

private:
    struct Task {
        Work work;
        void* subject;
        void* argument;
    };
    void serve();
    void end();
    bool queue(const Task& task);

    std::mutex mutex_;
    std::condition_variable queued_;
    boost::circular_buffer<Task> tasks_;
    bool closing_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace dmremap
