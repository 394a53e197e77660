// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/healer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>

namespace dmremap {

namespace {

constexpr std::size_t kActiveAtOnce = 128;
constexpr std::size_t kMovesAtOnce = 64;
constexpr std::size_t kChoresAtOnce = 8;
constexpr unsigned kTurnsWithoutChore = 32;  // then one has its turn although requests wait
constexpr auto kLooksAgain = std::chrono::seconds(5);

std::uint64_t first_block(const Piece& piece) { return piece.offset / DMR_BLOCK_SIZE; }
std::uint64_t last_block(const Piece& piece) {
    return (piece.offset + piece.length - 1) / DMR_BLOCK_SIZE;
}

}  // namespace

Healer::Healer(Context& disk, Callbacks callbacks)
    : disk_(disk),
      callbacks_(callbacks),
      io_(disk),
      batch_(disk, io_),
      exclusive_(disk, io_, batch_),
      last_retry_(std::chrono::steady_clock::now()) {
    active_.reserve(kActiveAtOnce);
    done_.reserve(kActiveAtOnce);
}

Healer::~Healer() { stop(); }

void Healer::start() {
    update_causes();
    thread_ = std::thread([this] { serve(); });
}

void Healer::take(Piece& piece) {
    const std::lock_guard lock(mutex_);
    piece.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &piece;
    last_ = &piece;
    changed_.notify_all();
}

void Healer::wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
}

void Healer::begin_to_stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
}

void Healer::stop() {
    begin_to_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::chrono::steady_clock::time_point Healer::next_retry() const {
    const std::uint32_t minutes = disk_.parameters.lost_retry_minutes;
    return minutes == 0 || disk_.read_only ? std::chrono::steady_clock::time_point::max()
                                           : last_retry_ + std::chrono::minutes(minutes);
}

std::chrono::steady_clock::time_point Healer::next_wake() const {
    return disk_.breaker->tripped() || disk_.table->owes()
               ? std::min(next_retry(), std::chrono::steady_clock::now() + kLooksAgain)
               : next_retry();
}

void Healer::serve() {
    for (;;) {
        collect();
        run_errands();
        try {
            find_chores();
            add_chores();
        } catch (const std::bad_alloc&) {
            chores_.clear();
        }
        close_gates();
        if (round()) {
            continue;
        }
        disk_.breaker->try_reset();
        if (pay_back()) {
            continue;  // blocks may have to move now
        }
        std::unique_lock lock(mutex_);
        const bool idle = waiting_.empty() && active_.empty() && chores_.empty() &&
                          first_ == nullptr && first_work_ == nullptr && first_errand_ == nullptr;
        if (idle && salvages_done_ != salvages_begun_) {
            salvages_done_ = salvages_begun_;
            changed_.notify_all();
        }
        if (idle && stopping_) {
            break;
        }
        const auto ready = [&] {
            return woken_ || first_ != nullptr || first_work_ != nullptr ||
                   first_errand_ != nullptr || (idle && stopping_) ||
                   salvages_asked_ != salvages_begun_;
        };
        if (next_wake() == std::chrono::steady_clock::time_point::max()) {
            changed_.wait(lock, ready);
        } else {
            changed_.wait_until(lock, next_wake(), ready);
        }
        woken_ = false;
    }
    if (batch_.has_erasures() && disk_.writable()) {
        batch_.commit();
        batch_.reset();
    }
}

// What the table owes a page is written when somebody commits, and here, where nobody does. True:
// it has been, or the page is retired.
bool Healer::pay_back() {
    if (!disk_.table->owes() || !disk_.writable()) {
        return false;
    }
    try {
        io_.judge_spare(Op::write, disk_.table->pay_back());
    } catch (const std::bad_alloc&) {  // it waits
    }
    if (disk_.table->owes()) {
        return false;
    }
    update_causes();
    return true;
}

// Takes over what others have queued.
void Healer::collect() {
    Piece* piece = nullptr;
    HandWork* hand_work = nullptr;
    {
        const std::lock_guard lock(mutex_);
        piece = first_;
        hand_work = first_work_;
        first_ = last_ = nullptr;
        first_work_ = last_work_ = nullptr;
    }
    while (hand_work != nullptr) {
        HandWork* const next = hand_work->next;
        Job job;
        job.kind = Job::Kind::hand;
        job.work = hand_work;
        job.first = hand_work->first;
        job.last = hand_work->last;
        queue(std::move(job));
        hand_work = next;
    }
    while (piece != nullptr) {
        Piece* const next = piece->next;
        Job job;
        job.piece = piece;
        job.first = first_block(*piece);
        job.last = last_block(*piece);
        queue(std::move(job));
        piece = next;
    }
}

void Healer::queue(Job job) {
    job.gate = gate_of(job.first * DMR_BLOCK_SIZE);
    try {
        waiting_.push_back(std::move(job));
    } catch (const std::bad_alloc&) {
        give_up(job, ENOMEM);
    }
}

// Throws bad_alloc; then some of the chores are queued, the rest when they are next looked for.
void Healer::find_chores() {
    bool retry_all = std::chrono::steady_clock::now() >= next_retry();
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            chores_.clear();
            return;
        }
        if (salvages_asked_ != salvages_begun_) {
            salvages_begun_ = salvages_asked_;
            retry_all = true;
            disk_.one_copy_only = false;  // by hand alone, for each try costs pages
        }
    }
    const auto add = [this](Job::Kind kind, std::uint64_t block, std::uint64_t slot) {
        Job job;
        job.kind = kind;
        job.slot = slot;
        job.first = job.last = block;
        job.gate = gate_of(block * DMR_BLOCK_SIZE);
        chores_.push_back(std::move(job));
    };
    if (retry_all) {
        last_retry_ = std::chrono::steady_clock::now();
        unmovable_.clear();
        disk_.table->for_each_live([&](std::uint64_t slot, const dmr_entry& entry) {
            if (entry.retry != 0) {
                add(Job::Kind::retry, dmr_le64(entry.main_block), slot);
            }
        });
    }
    if (chores_.empty() && waiting_.empty() && active_.empty() && disk_.writable() &&
        !disk_.table->owes()) {
        const std::vector<std::uint64_t> there =
            disk_.table->live_on_retired_pages(kMovesAtOnce + unmovable_.size());
        if (there.empty() && !disk_.doubt_left) {
            disk_.board->clear("metadata_in_doubt");
        }
        for (const std::uint64_t slot : there) {
            if (disk_.one_copy_only) {
                break;
            }
            if (std::find(unmovable_.begin(), unmovable_.end(), slot) == unmovable_.end()) {
                add(Job::Kind::move, dmr_le64(disk_.table->entry(slot).main_block), slot);
            }
        }
    }
}

void Healer::add_chores() {
    const bool idle = waiting_.empty() && active_.empty();
    if (!idle && ++turns_without_chore_ < kTurnsWithoutChore) {
        return;
    }
    turns_without_chore_ = 0;
    for (std::size_t i = 0; i < (idle ? kChoresAtOnce : 1) && !chores_.empty(); i++) {
        waiting_.push_back(std::move(chores_.front()));
        chores_.pop_front();
    }
}

bool Healer::meets_active(const Job& job) const {
    return std::any_of(active_.begin(), active_.end(), [&](const Job& other) {
        return job.first <= other.last && other.first <= job.last;
    });
}

// A gate that an earlier round has closed takes no further jobs, or those who come one after the
// other would keep it closed, and who is parked there waiting, for as long as they come.
void Healer::close_gates() {
    const std::array<unsigned, kGates> before = closed_;
    for (auto job = waiting_.begin(); job != waiting_.end() && active_.size() < kActiveAtOnce;) {
        if (meets_active(*job) || before.at(job->gate) != 0) {
            ++job;
            continue;
        }
        if (closed_.at(job->gate)++ == 0) {
            disk_.gates->close(job->gate);
        }
        active_.push_back(std::move(*job));
        job = waiting_.erase(job);
    }
}

void Healer::do_job(Job& job) {
    try {
        carry_out(job);
    } catch (const std::bad_alloc&) {
        job.error = ENOMEM;
    }
}

void Healer::carry_out(Job& job) {
    switch (job.kind) {
        case Job::Kind::piece:
            job.error = exclusive_.run(*job.piece, job.staged);
            break;
        case Job::Kind::retry:
            exclusive_.retry_lost(job.first);
            break;
        case Job::Kind::move:
            unmovable_.reserve(unmovable_.size() + done_.size() + 1);  // see round()
            if (!exclusive_.move_away(job.slot)) {
                unmovable_.push_back(job.slot);
            }
            break;
        case Job::Kind::hand:
            do_by_hand(job);
            break;
    }
}

// The job could not even be queued.
void Healer::give_up(Job& job, int error) {
    if (job.piece != nullptr) {
        callbacks_.finished(callbacks_.disk, *job.piece, error);
    }
    if (job.work != nullptr) {
        for (std::uint64_t block = job.first; block <= job.last; block++) {
            job.work->result.refuse(block * DMR_SECTORS_PER_BLOCK, error);
        }
        const std::lock_guard lock(mutex_);
        job.work->done = true;
        changed_.notify_all();
    }
}

// Works behind gates that have drained, for a while. False when there was none.
bool Healer::round() {
    const auto end = std::chrono::steady_clock::now() + kRoundLasts;
    done_.clear();
    for (auto job = active_.begin();
         job != active_.end() && (done_.empty() || std::chrono::steady_clock::now() < end);) {
        if (!disk_.gates->empty(job->gate)) {
            ++job;
            continue;
        }
        do_job(*job);
        done_.push_back(std::move(*job));
        job = active_.erase(job);
    }
    if (done_.empty()) {
        return false;
    }
    if (!batch_.empty()) {
        batch_.commit();
    }
    for (Job& job : done_) {
        for (const std::uint64_t block : job.staged) {
            const int error = batch_.result(block);
            if (job.work == nullptr) {
                job.error = job.error != 0 ? job.error : error;
            } else if (error == 0) {
                job.work->result.changed++;
            } else {
                job.work->result.refuse(block * DMR_SECTORS_PER_BLOCK, error);
            }
        }
        if (job.kind == Job::Kind::move && batch_.result(job.first) != 0) {
            unmovable_.push_back(job.slot);
        }
    }
    batch_.reset();
    update_causes();
    finish();
    return true;
}

void Healer::finish() {
    Piece* parked = nullptr;
    Piece** tail = &parked;
    for (const Job& job : done_) {
        if (--closed_.at(job.gate) == 0) {
            *tail = disk_.gates->open(job.gate);
            while (*tail != nullptr) {
                tail = &(*tail)->next;
            }
        }
    }
    if (parked != nullptr) {
        callbacks_.resume(callbacks_.disk, parked);
    }
    for (const Job& job : done_) {
        if (job.piece != nullptr) {
            callbacks_.finished(callbacks_.disk, *job.piece, job.error);
        }
        if (job.work != nullptr) {
            const std::lock_guard lock(mutex_);
            job.work->done = true;
            changed_.notify_all();
        }
    }
}

void Healer::update_causes() {
    const TableCounts counts = disk_.table->counts();
    const auto set = [this](bool active, const char* name, const auto&... text) {
        if (active) {
            disk_.board->raise(State::degraded, name, text...);
        } else {
            disk_.board->clear(name);
        }
    };
    set(counts.lost_sectors != 0, "lost_sectors", counts.lost_sectors,
        " sectors could not be read by anybody, ", counts.retry_sectors,
        " of them are tried again");
    set(disk_.superblocks->given_up(), "superblock_unwritable", disk_.spare->info().name,
        " took none of the last ", kFailedUpdates,
        " updates of its superblock, no further one is tried: parameters and scans are not "
        "recorded and the table does not grow; unmount, check the spare, and mount again");
    set(counts.retired_pages != 0, "retired_pages", counts.retired_pages,
        " metadata pages of the spare are out of use");
    if (counts.retired_pages > retired_pages_) {
        disk_.board->report(EventKind::page_retired, 0, counts.retired_pages - retired_pages_);
    }
    retired_pages_ = counts.retired_pages;
    const std::uint64_t gone = counts.used + counts.bad + counts.unusable;
    const std::uint64_t free = gone < counts.slots ? counts.slots - gone : 0;
    const auto percent = static_cast<unsigned>(free * 100 / counts.slots);
    set(percent < 20, "spare_low", free, " of ", counts.slots, " slots are free");
    for (const unsigned mark : {20u, 10u, 5u}) {
        if (percent < mark && low_mark_ > mark) {
            low_mark_ = mark;
            disk_.board->report(EventKind::spare_low, 0, mark);
        }
    }
    // After the marks that the same round may have passed.
    if (batch_.take_ran_out() && !disk_.board->active("spare_full")) {
        disk_.board->report(EventKind::spare_full);
        disk_.board->raise(State::degraded, "spare_full", "no slot is left on ",
                           disk_.spare->info().name, "; bad blocks can not be moved any more");
    }
    if (free != 0) {
        disk_.board->clear("spare_full");
    }
}

}  // namespace dmremap
