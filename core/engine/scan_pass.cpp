// SPDX-License-Identifier: GPL-2.0-or-later
// One run of a scan: from the cursor on until the pass ends or the orders change.
#include <algorithm>
#include <cerrno>

#include "core/device/error_class.h"
#include "core/engine/battery.h"
#include "core/engine/scanner.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kSaveEverySeconds = 30;
constexpr std::uint64_t kLongestSleepNs = 10 * kSecondNs;  // while there may be something to save
constexpr std::uint64_t kBatteryEverySeconds = 60;
constexpr std::uint64_t kProbeEveryNs = 30 * kSecondNs;
constexpr std::uint64_t kRateOverNs = kSecondNs;
constexpr unsigned kTries = 6;  // with pauses of 10, 20, 40, 80, 160 ms

}  // namespace

bool Scanner::have_buffers() {
    for (AlignedMemory& buffer : buffers_) {
        if (!buffer) {
            buffer = allocate_aligned(kRegionSize);
        }
        if (!buffer) {
            return false;
        }
    }
    return true;
}

void Scanner::run() {
    if (!have_buffers()) {
        set_state(ScanState::waiting, "memory");
        sleep_until(now_ns() + kSecondNs);
        return;
    }
    readers_.start(kReaders);
    first_flight_ = flying_ = 0;
    suspected_ = 0;
    skipped_ = false;
    read_bytes_ = 0;
    tries_ = 0;
    saved_at_ = clock_.steady();
    const std::uint64_t now = now_ns();
    pace_.begin(now, disk_.counters->load());
    std::uint64_t cursor = 0, begin = 0;
    {
        const std::lock_guard lock(mutex_);
        cursor = saved_cursor_ = record_.cursor;
        saved_found_ = record_.found;
        begin = record_.begin;
        last_good_ = cursor / kRegionBlocks;
        rate_from_ns_ = now;
        rate_bytes_ = rate_ = 0;
    }
    disk_.board->report(EventKind::scan_started, cursor * DMR_SECTORS_PER_BLOCK, 0,
                        cursor == begin ? "from its beginning" : "where it was");
    if (read_all() && look_at_suspects(true) && check_metadata()) {
        end_pass();
    }
    for (AlignedMemory& buffer : buffers_) {
        buffer.reset();
    }
}

// What stands in the way of scanning at all; null: nothing.
const char* Scanner::obstacle() {
    if (!disk_.writable()) {
        return "a disk that can be written";
    }
    if (disk_.board->active("breaker") || disk_.board->active("device_gone")) {
        return "main to answer";
    }
    if (disk_.board->active("spare_gone")) {
        return "the spare to answer";
    }
    const std::uint64_t now = clock_.steady();
    if (!battery_known_ || now - battery_at_ >= kBatteryEverySeconds) {
        battery_known_ = true;
        battery_at_ = now;
        battery_low_ = battery_low(power_supplies_);
    }
    return battery_low_ ? "the battery to be charged" : nullptr;
}

// Where nobody else reads main nobody would notice that it answers again.
void Scanner::probe() {
    const std::uint64_t now = now_ns();
    if (now - probed_ns_ >= kProbeEveryNs && !battery_low_) {
        probed_ns_ = now;
        ScanFlight flight;
        flight.read.offset = last_good_ * kRegionSize;
        flight.read.length = std::min(kRegionSize, disk_.size - flight.read.offset);
        flight.read.buffer = buffers_[0].get();
        scan_read(disk_, *caller_, flight.read);
    }
}

// With nothing in flight: waits until nothing stands in the way. False: the orders have changed.
bool Scanner::clear_way() {
    for (const char* waits_for; (waits_for = obstacle()) != nullptr;) {
        set_state(ScanState::waiting, waits_for);
        probe();
        if (!sleep_until(now_ns() + kSecondNs)) {
            return false;
        }
    }
    set_state(ScanState::running, "");
    return stands();
}

// False: the orders have changed.
bool Scanner::read_all() {
    std::uint64_t next = 0, end = 0;
    {
        const std::lock_guard lock(mutex_);
        next = record_.cursor;
        end = record_.end;
    }
    while (stands()) {
        save_now_and_then();
        if (const char* const waits_for = obstacle(); waits_for != nullptr) {
            drain();
            next = flying_ == 0 ? next : flights_.at(first_flight_).read.first_block();
            flying_ = 0;
            set_state(ScanState::waiting, waits_for);
            probe();
            sleep_until(now_ns() + kSecondNs);
            pace_.begin(now_ns(), disk_.counters->load());
            continue;
        }
        set_state(ScanState::running, "");
        if (const std::uint64_t now = now_ns(); pace_.due(now)) {
            pace_.look(now, disk_.counters->load());
        }
        fill(next, end);
        if (flying_ == 0) {
            if (next >= end) {
                return true;
            }
            const std::uint64_t now = now_ns();
            sleep_until(std::clamp(pace_.next(), now + 1, now + kLongestSleepNs));
            continue;
        }
        if (take_front(next)) {
            look_at_suspects(false);
        }
    }
    drain();
    return false;
}

void Scanner::fill(std::uint64_t& next, std::uint64_t end) {
    const unsigned most = pace_.busy() ? 1 : kReaders;
    while (flying_ < most && next < end) {
        const std::uint64_t now = now_ns();
        if (pace_.next() > now) {
            return;
        }
        const unsigned i = (first_flight_ + flying_) % kReaders;
        ScanFlight& flight = flights_.at(i);
        const std::uint64_t stop = std::min(end, (next / kRegionBlocks + 1) * kRegionBlocks);
        flight.read.offset = next * DMR_BLOCK_SIZE;
        flight.read.length = std::min(stop * DMR_BLOCK_SIZE, disk_.size) - flight.read.offset;
        flight.read.buffer = buffers_.at(i).get();
        flight.before = disk_.counters->load();
        pace_.reading(now, flight.read.length, disk_.parameters.scan_speed_max);
        flying_++;
        next = stop;
        readers_.give(flight, *caller_);
    }
}

// It may take minutes; what was read before is kept meanwhile.
void Scanner::await(ScanFlight& flight) {
    while (!readers_.wait(flight, std::chrono::seconds(1))) {
        save_now_and_then();
    }
}

void Scanner::drain() {
    for (unsigned i = 0; i < flying_; i++) {
        await(flights_.at((first_flight_ + i) % kReaders));
    }
}

// The oldest read in flight. False: it must be made again, and with it what came after.
bool Scanner::take_front(std::uint64_t& next) {
    ScanFlight& flight = flights_.at(first_flight_);
    await(flight);
    pace_.has_read(now_ns(), flight.read.ns);
    region_found_ = 0;
    if (flight.read.error != 0 || flight.read.check.any()) {
        drain();
        if (!handle(flight)) {
            next = flight.read.first_block();
            flying_ = 0;
            return false;
        }
    }
    finish(flight);
    first_flight_ = (first_flight_ + 1) % kReaders;
    flying_--;
    return true;
}

// After a pause; false when that was tried often enough.
bool Scanner::try_again() {
    if (++tries_ >= kTries) {
        return false;
    }
    sleep_until(now_ns() + (kSecondNs / 200 << tries_));
    return true;
}

// What failed, with nothing else in flight. False: the region must be read again, or the orders
// have changed.
bool Scanner::handle(ScanFlight& flight) {
    const std::uint64_t first = flight.read.first_block();
    const std::uint64_t region = first / kRegionBlocks;
    const int error = flight.read.error;
    to_check_ = flight.read.check;
    failed_alone_.reset();
    slow_ns_.fill(0);
    healed_at_ = clock_.steady();
    switch (classify(error)) {
        case ErrorClass::none:
            break;
        case ErrorClass::medium:
            if (examine(first, flight.read.end_block())) {
                break;
            }
            if (!stands() || obstacle() != nullptr || try_again()) {
                return false;
            }
            skipped_ = true;
            break;
        case ErrorClass::gone:
            // The healer shall see it, too; then there is something to wait for.
            to_check_.reset();
            to_check_.set(flight.read.first_on_main % kRegionBlocks);
            heal(region, to_check_, HandWork::Kind::check);
            try_again();
            return false;
        case ErrorClass::no_space:
        case ErrorClass::resource:
            if (try_again()) {
                return false;
            }
            skipped_ = true;  // it stays unread in this pass
            break;
    }
    return heal_known(region);
}

// A stopped pass has found nothing more, but it was found.
void Scanner::keep_found() {
    const std::lock_guard lock(mutex_);
    record_.pass_found += generation_ == run_generation_ ? region_found_ : 0;
    record_.found += region_found_;
    region_found_ = 0;
}

void Scanner::finish(ScanFlight& flight) {
    const std::uint64_t region = flight.read.first_block() / kRegionBlocks;
    tries_ = 0;
    read_bytes_ += flight.read.length;
    if (flight.read.error == 0 && flight.read.main_bytes != 0) {
        last_good_ = region;
    }
    judge_time(flight);
    const std::uint64_t now = now_ns();
    const std::lock_guard lock(mutex_);
    if (generation_ == run_generation_) {
        record_.cursor = flight.read.end_block();
    }
    rate_bytes_ += flight.read.length;
    if (now - rate_from_ns_ >= kRateOverNs) {
        const std::uint64_t rate =
            rate_bytes_ * (kSecondNs / 1000) / ((now - rate_from_ns_) / 1000);
        rate_ = rate_ == 0 ? rate : (3 * rate_ + rate) / 4;
        rate_from_ns_ = now;
        rate_bytes_ = 0;
    }
}

// Where there is something new.
void Scanner::save_now_and_then() {
    const std::uint64_t now = clock_.steady();
    if (now - saved_at_ < kSaveEverySeconds) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        if (record_.cursor == saved_cursor_ && record_.found == saved_found_) {
            return;
        }
        saved_cursor_ = record_.cursor;
        saved_found_ = record_.found;
    }
    saved_at_ = now;
    persist();
}

void Scanner::end_pass() {
    std::uint64_t found = 0;
    {
        const std::lock_guard lock(mutex_);
        if (generation_ != run_generation_) {
            return;
        }
        const bool whole = record_.begin == 0 && record_.end == dmr_main_blocks(&disk_.geometry);
        found = record_.pass_found;
        record_.state = DMR_SCAN_NONE;
        record_.pass_end = clock_.wall();
        ended_steady_ = static_cast<std::int64_t>(clock_.steady());
        record_.passes += whole ? 1 : 0;
        record_.cursor = record_.begin == 0 ? record_.cursor : 0;
    }
    persist();
    disk_.board->report(
        EventKind::scan_ended, 0, found,
        skipped_ ? "some regions could not be read for want of resources" : "all was read");
}

}  // namespace dmremap
