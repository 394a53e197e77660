// SPDX-License-Identifier: GPL-2.0-or-later
// What people and the scan ask of the healer: a salvage, work by hand, errands between rounds. How
// they wait for it, and how it does it.
#include <cerrno>
#include <chrono>
#include <new>
#include <utility>

#include "core/engine/healer.h"

namespace dmremap {

namespace {

constexpr auto kCancelLooks = std::chrono::milliseconds(100);

}  // namespace

std::uint64_t Healer::salvage(const std::function<bool()>& cancelled) {
    const std::uint64_t before = disk_.totals.sectors_salvaged;
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = ++salvages_asked_;
    const auto ended = [&] { return salvages_done_ >= mine || stopping_; };
    changed_.notify_all();
    if (!cancelled) {
        changed_.wait(lock, ended);
    }
    while (!changed_.wait_for(lock, kCancelLooks, ended)) {
        lock.unlock();
        const bool enough = cancelled();
        lock.lock();
        if (enough) {
            break;
        }
    }
    return disk_.totals.sectors_salvaged - before;
}

bool Healer::by_hand(HandWork& work) {
    std::unique_lock lock(mutex_);
    if (stopping_) {
        return false;
    }
    work.next = nullptr;
    work.done = false;
    (last_work_ != nullptr ? last_work_->next : first_work_) = &work;
    last_work_ = &work;
    changed_.notify_all();
    changed_.wait(lock, [&] { return work.done; });
    return true;
}

bool Healer::between_rounds(const std::function<void()>& errand) {
    std::unique_lock lock(mutex_);
    if (stopping_) {
        return false;
    }
    Errand mine{&errand, nullptr, false};
    (last_errand_ == nullptr ? first_errand_ : last_errand_->next) = &mine;
    last_errand_ = &mine;
    changed_.notify_all();
    changed_.wait(lock, [&] { return mine.done; });
    return true;
}

// Those that wait now and not those that come meanwhile: each may cost a flush, and who sends one
// after the other must not keep failed requests waiting. What an errand could not get memory for it
// has not done.
void Healer::run_errands() {
    Errand* errand = nullptr;
    {
        const std::lock_guard lock(mutex_);
        errand = std::exchange(first_errand_, nullptr);
        last_errand_ = nullptr;
    }
    const bool any = errand != nullptr;
    while (errand != nullptr) {
        try {
            (*errand->what)();
        } catch (const std::bad_alloc&) {
        }
        const std::lock_guard lock(mutex_);
        Errand* const next = errand->next;
        errand->done = true;  // from here on it may be gone
        errand = next;
        changed_.notify_all();
    }
    if (any) {
        update_causes();
    }
}

int Healer::do_block_by_hand(HandWork& work, std::uint64_t block) {
    using Kind = HandWork::Kind;
    Finding finding = Finding::fine;
    int error = 0;
    switch (work.kind) {
        case Kind::remap:
            return exclusive_.remap_by_hand(block);
        case Kind::unmap:
        case Kind::forced_unmap:
            return exclusive_.unmap_by_hand(block, work.kind == Kind::forced_unmap);
        case Kind::map_anew:
            return exclusive_.map_anew(block);
        case Kind::check:
        case Kind::check_failed:
            error = exclusive_.check(block, work.kind == Kind::check_failed, finding);
            break;
        case Kind::move_slow:
            error = exclusive_.move_slow(block, finding);
            break;
    }
    const std::uint64_t bit = std::uint64_t{1} << ((block - work.first) % 64);
    work.bad |= finding == Finding::bad ? bit : 0;
    work.weak |= finding == Finding::weak ? bit : 0;
    return error;
}

// For a round's time: the gate is closed meanwhile, and main may take seconds for a bad block. The
// rest is the caller's to send again.
void Healer::do_by_hand(Job& job) {
    const auto end = std::chrono::steady_clock::now() + kRoundLasts;
    const std::uint64_t blocks = job.last - job.first + 1;
    std::uint64_t block = job.first;
    try {
        job.staged.reserve(blocks);
        for (; block <= job.last; block++) {
            if (block != job.first && std::chrono::steady_clock::now() >= end) {
                job.last = job.work->last = block - 1;
                break;
            }
            const int error = do_block_by_hand(*job.work, block);
            if (error == 0) {
                job.staged.push_back(block);
            } else if (error == EALREADY) {
                job.work->result.unchanged++;
            } else {
                job.work->result.refuse(block * DMR_SECTORS_PER_BLOCK, error);
            }
        }
    } catch (const std::bad_alloc&) {
        for (; block <= job.last; block++) {
            job.work->result.refuse(block * DMR_SECTORS_PER_BLOCK, ENOMEM);
        }
    }
}

}  // namespace dmremap
