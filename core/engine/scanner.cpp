// SPDX-License-Identifier: GPL-2.0-or-later
// Orders, the schedule, and what is kept of a scan.
#include "core/engine/scanner.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace dmremap {

namespace {

constexpr auto kIdleLooks = std::chrono::seconds(60);
constexpr std::uint64_t kNoteEveryNs = 3'600'000'000'000;

}  // namespace

const char* scan_state_name(ScanState state) {
    switch (state) {
        case ScanState::idle:
            return "idle";
        case ScanState::running:
            return "running";
        case ScanState::paused:
            return "paused";
        case ScanState::waiting:
            return "waiting";
    }
    return "?";  // GCOVR_EXCL_LINE: the states are those above
}

Scanner::Scanner(Context& disk, Healer& healer, Clock clock, std::string power_supplies)
    : disk_(disk),
      healer_(healer),
      clock_(std::move(clock)),
      power_supplies_(std::move(power_supplies)),
      readers_(disk),
      noted_ns_(now_ns()) {
    record_ = load_scan_record(disk.superblocks->current());
    const std::uint64_t now = clock_.wall();
    record_.pass_end = std::min(record_.pass_end, now);
    ended_steady_ = static_cast<std::int64_t>(clock_.steady()) -
                    static_cast<std::int64_t>(now - record_.pass_end);
}

void Scanner::start() {
    thread_ = std::thread([this] { serve(); });
}

void Scanner::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
    readers_.stop();
}

void Scanner::wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
}

bool Scanner::stands() const {
    const std::lock_guard lock(mutex_);
    return !stopping_ && generation_ == run_generation_;
}

// Or until a parameter changes, for that may be what made it so long; the pace begins anew then.
bool Scanner::sleep_until(std::uint64_t ns) {
    std::unique_lock lock(mutex_);
    const auto over = [this] { return stopping_ || generation_ != run_generation_; };
    const auto enough = [&] { return over() || woken_; };
    for (std::uint64_t now = now_ns(); now < ns && !enough(); now = now_ns()) {
        changed_.wait_for(lock, std::chrono::nanoseconds(ns - now), enough);
    }
    if (std::exchange(woken_, false)) {
        pace_.begin(now_ns(), disk_.counters->load());
    }
    return !over();
}

bool Scanner::due() const {
    if (!disk_.parameters.background_scanning || record_.passes == 0 || !disk_.writable()) {
        return false;
    }
    const std::int64_t passed = static_cast<std::int64_t>(clock_.steady()) - ended_steady_;
    return passed >= std::int64_t{disk_.parameters.scan_interval_hours} * 3600;
}

void Scanner::begin_pass(std::uint64_t begin, std::uint64_t end) {
    record_.state = DMR_SCAN_RUNNING;
    record_.begin = record_.cursor = begin;
    record_.end = end;
    record_.pass_start = clock_.wall();
    record_.pass_found = 0;
    shown_ = ScanState::running;
    generation_++;
    changed_.notify_all();
}

void Scanner::serve() {
    IdleCaller caller;
    caller_ = &caller;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        woken_ = false;
        if (record_.state == DMR_SCAN_RUNNING) {
            run_generation_ = generation_;
            lock.unlock();
            run();
            lock.lock();
            continue;
        }
        if (record_.state == DMR_SCAN_NONE && due()) {
            begin_pass(0, dmr_main_blocks(&disk_.geometry));
            lock.unlock();
            persist();
            lock.lock();
            continue;
        }
        lock.unlock();
        note_today();
        lock.lock();
        changed_.wait_for(lock, kIdleLooks, [this] {
            return stopping_ || woken_ || record_.state == DMR_SCAN_RUNNING;
        });
    }
}

// Of a disk that stays open for days; others are noted when they are closed.
void Scanner::note_today() {
    const std::uint64_t now = now_ns();
    if (now - noted_ns_ < kNoteEveryNs) {
        return;
    }
    noted_ns_ = now;
    const auto today = static_cast<std::uint32_t>(clock_.wall() / kSecondsADay);
    const auto noted = days();
    if (std::none_of(noted.begin(), noted.end(),
                     [today](const DaySample& sample) { return sample.day == today; })) {
        persist();
    }
}

int Scanner::order(ScanOrder what, std::uint64_t sector, std::uint64_t count) {
    const std::uint64_t sectors = disk_.size / DMR_SECTOR_SIZE;
    if (what == ScanOrder::start && (sector >= sectors || count > sectors - sector)) {
        return EINVAL;
    }
    if (!disk_.writable() && (what == ScanOrder::start || what == ScanOrder::resume)) {
        return EROFS;
    }
    bool stopped = false;
    std::uint64_t found = 0;
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            return ENODEV;
        }
        const bool none = record_.state == DMR_SCAN_NONE;
        const std::uint32_t wanted = what == ScanOrder::pause ? DMR_SCAN_PAUSED : DMR_SCAN_RUNNING;
        switch (what) {
            case ScanOrder::start: {
                if (!none) {
                    return EBUSY;
                }
                const std::uint64_t end = count == 0 ? sectors : sector + count;
                begin_pass(sector / DMR_SECTORS_PER_BLOCK,
                           (end + DMR_SECTORS_PER_BLOCK - 1) / DMR_SECTORS_PER_BLOCK);
                break;
            }
            case ScanOrder::stop:
                if (none) {
                    return 0;
                }
                stopped = true;
                found = record_.pass_found;
                record_.state = DMR_SCAN_NONE;
                record_.pass_end = clock_.wall();
                ended_steady_ = static_cast<std::int64_t>(clock_.steady());
                record_.cursor = record_.begin == 0 ? record_.cursor : 0;
                break;
            case ScanOrder::pause:
            case ScanOrder::resume:
                if (none) {
                    return ENOENT;
                }
                if (record_.state == wanted) {
                    return 0;
                }
                record_.state = wanted;
                shown_ = ScanState::running;
                break;
        }
        generation_++;
        changed_.notify_all();
    }
    if (stopped) {
        disk_.board->report(EventKind::scan_ended, 0, found, "stopped");
    }
    return persist();
}

void Scanner::put(dmr_superblock& sb) {
    const TableCounts counts = disk_.table->counts();
    const std::uint64_t errors = disk_.counters->totals().main_errors;
    const std::lock_guard lock(mutex_);
    record_.note_day(dmr_le64(sb.created), clock_.wall(), counts.used, counts.lost_sectors,
                     errors - errors_noted_);
    errors_noted_ = errors;
    store_scan_record(record_, sb);
}

int Scanner::write_record() {
    if (!disk_.writable() || disk_.table->broken()) {
        return EROFS;
    }
    dmr_superblock sb = disk_.superblocks->current();
    put(sb);
    return disk_.superblocks->write(sb);
}

int Scanner::persist() {
    int error = ENODEV;
    healer_.between_rounds([this, &error] { error = write_record(); });
    return error;
}

void Scanner::set_state(ScanState state, std::string_view waits_for) {
    const std::lock_guard lock(mutex_);
    shown_ = state;
    waits_for_ = waits_for;
}

ScanProgress progress_of(const ScanRecord& record, std::uint64_t size) {
    const std::uint64_t sectors = size / DMR_SECTOR_SIZE;
    const auto in_sectors = [sectors](std::uint64_t block) {
        return std::min(block * DMR_SECTORS_PER_BLOCK, sectors);
    };
    const bool none = record.state == DMR_SCAN_NONE;
    ScanProgress progress;
    progress.state = none                              ? ScanState::idle
                     : record.state == DMR_SCAN_PAUSED ? ScanState::paused
                                                       : ScanState::running;
    progress.total_sectors = sectors;
    progress.done_sectors = in_sectors(record.cursor);
    if (!none) {
        progress.begin_sector = in_sectors(record.begin);
        progress.total_sectors = in_sectors(record.end) - progress.begin_sector;
        progress.done_sectors -= progress.begin_sector;
    }
    progress.found = record.pass_found;
    progress.found_ever = record.found;
    progress.passes = record.passes;
    progress.pass_start = record.pass_start;
    progress.pass_end = record.pass_end;
    progress.scanned_sectors = record.passes != 0          ? sectors
                               : none || record.begin == 0 ? in_sectors(record.cursor)
                                                           : 0;
    progress.metadata_repairs = record.metadata_repairs;
    return progress;
}

ScanProgress Scanner::progress() const {
    const std::lock_guard lock(mutex_);
    ScanProgress progress = progress_of(record_, disk_.size);
    if (progress.state == ScanState::running) {
        progress.state = shown_;
        progress.waits_for = waits_for_;
    }
    if (progress.state == ScanState::running && rate_ != 0) {
        progress.bytes_per_second = rate_;
        progress.eta_seconds =
            (progress.total_sectors - progress.done_sectors) * DMR_SECTOR_SIZE / rate_ + 1;
    }
    progress.scheduled = progress.state == ScanState::idle &&
                         disk_.parameters.background_scanning && record_.passes != 0;
    if (progress.scheduled) {
        const std::int64_t passed = static_cast<std::int64_t>(clock_.steady()) - ended_steady_;
        const std::int64_t interval = std::int64_t{disk_.parameters.scan_interval_hours} * 3600;
        progress.next_in_seconds =
            static_cast<std::uint64_t>(std::max<std::int64_t>(interval - passed, 0));
    }
    return progress;
}

std::array<DaySample, DMR_HISTORY_DAYS> Scanner::days() const {
    const std::lock_guard lock(mutex_);
    return record_.days;
}

std::vector<WeakBlock> Scanner::weak_blocks() const {
    const std::lock_guard lock(mutex_);
    return weak_;
}

}  // namespace dmremap
