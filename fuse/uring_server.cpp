// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/uring_server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

#include "core/refusal.h"

namespace dmremap {

namespace {

// Requests that a queue can have under way; others wait in the kernel.
constexpr unsigned kMostInAQueue = 32, kLeastInAQueue = 8;
static_assert(ImageAccess::kMostWaiting < kLeastInAQueue, "or all of a queue might wait for it");
constexpr unsigned kInAll = 256;
// What lies in memory is served at once, by as many threads as there are users waiting.
constexpr unsigned kLeastLoops = 4, kMostLoops = 16;
constexpr unsigned kLoopsOfAQueue = 4;

// As many as the kernel has queues. It waits for all of them, so this must not be guessed.
unsigned possible_processors() {
    constexpr char kList[] = "/sys/devices/system/cpu/possible";  // 0-3,8-11
    std::ifstream file(kList);
    unsigned count = 0, first = 0;
    while (file >> first) {
        unsigned last = first;
        if (file.peek() == '-') file.ignore(1) >> last;
        count += last - first + 1;
        file.ignore(1);
    }
    if (count == 0) throw Refusal(RefusalKind::system, std::string(kList) + " names no processor");
    return count;
}

}  // namespace

UringServer::UringServer(Filesystem& filesystem, int descriptor, unsigned most_loops,
                         const UringLoop::Elsewhere& elsewhere) {
    const unsigned loops = std::min(
        most_loops, std::clamp(std::thread::hardware_concurrency(), kLeastLoops, kMostLoops));
    const unsigned queues = possible_processors();
    loops_.emplace(queues, loops);
    for (unsigned i = 0; i < loops; i++)
        loops_->all.push_back(
            std::make_unique<UringLoop>(filesystem, descriptor, *loops_, i, elsewhere));
    const unsigned depth = std::clamp(kInAll / queues, kLeastInAQueue, kMostInAQueue);
    const unsigned shared_by = std::min(loops, kLoopsOfAQueue);
    for (unsigned i = 0; i < depth; i++)
        for (unsigned queue = 0; queue < queues; queue++)
            loops_->all[(queue + i % shared_by) % loops]->add_entry(
                static_cast<std::uint16_t>(queue));
    for (const auto& loop : loops_->all) turns_ = std::max(turns_, loop->entries());
    turn_.emplace(loops);
    try {
        for (const auto& loop : loops_->all) threads_.emplace_back([this, &loop] { serve(*loop); });
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return prepared_ == loops_->all.size(); });
        if (error_ != 0)
            throw Refusal(RefusalKind::system,
                          std::string("io_uring cannot be had: ") + std::strerror(error_));
    } catch (...) {
        end();
        throw;
    }
}

void UringServer::serve(UringLoop& loop) {
    const int error = loop.prepare();
    {
        std::unique_lock lock(mutex_);
        if (error != 0) error_ = error;
        prepared_++;
        changed_.notify_all();
        changed_.wait(lock, [this] { return phase_ != Phase::waiting; });
        if (phase_ == Phase::given_up) return;
    }
    for (std::size_t i = 0; i < turns_; i++) {
        loop.enroll_one();
        turn_->arrive_and_wait();
    }
    loop.run();
}

void UringServer::enter(Phase phase) {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::waiting) phase_ = phase;
    changed_.notify_all();
}

void UringServer::start() { enter(Phase::serving); }

void UringServer::end() {
    enter(Phase::given_up);  // where they have not begun
    for (const auto& loop : loops_->all) loop->end();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

}  // namespace dmremap
