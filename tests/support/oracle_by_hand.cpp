// SPDX-License-Identifier: GPL-2.0-or-later
// The oracle's view of what is asked for by hand: salvage, scan, remap and unmap.
#include <bit>
#include <cerrno>
#include <cstring>
#include <thread>

#include "tests/support/oracle.h"

namespace dmremap::test {

void Oracle::salvage() {
    begin();
    const std::uint64_t came_back = pair_.disk->salvage();
    seen_.salvaged += came_back;
    refreshed_at_ = ~0ull;
    const std::uint64_t before = [this] {
        std::uint64_t lost = 0;
        for (const auto& [block, info] : remaps_)
            lost += static_cast<std::uint64_t>(std::popcount(info.lost));
        return lost;
    }();
    refresh();
    std::uint64_t after = 0;
    for (const auto& [block, info] : remaps_)
        after += static_cast<std::uint64_t>(std::popcount(info.lost));
    if (before < after) fail("salvage lost sectors");
    // Background retries may have brought some back before, so fewer may be reported than came.
    if (came_back > before - after) fail("salvage claims sectors that are still lost");
}

// What it moves the next refresh() judges. One that cannot go on, since main does not answer, is
// stopped.
void Oracle::scan(std::uint64_t first, std::uint64_t count) {
    begin();
    const std::size_t ended = pair_.count(EventKind::scan_ended);
    if (pair_.disk->scan(ScanOrder::start, first, count) == 0) {
        ScanState state = ScanState::running;
        while (state == ScanState::running) {
            std::this_thread::yield();
            state = pair_.disk->status().scan.state;
        }
        if (state != ScanState::idle) pair_.disk->scan(ScanOrder::stop);
        if (!pair_.wait_for(EventKind::scan_ended, ended + 1)) fail("a scan does not end");
        ++seen_.scans;
    }
    refreshed_at_ = ~0ull;
    refresh();
    excuse_read_only(pair_.disk->status());
}

// What holds for both: every block is counted once, and is where the answer says.
void Oracle::judge_by_hand(const char* what, const RangeResult& result, std::uint64_t first,
                           std::uint64_t count, bool explained) {
    const std::string of =
        std::string(what) + " of sectors " + std::to_string(first) + "+" + std::to_string(count);
    const std::uint64_t begin = first / 8, end = (first + count + 7) / 8;
    if (result.changed + result.unchanged + result.refused != end - begin)
        fail(of + " does not account for every block");
    if ((result.error != 0) != (result.refused != 0)) fail(of + ": error and refusals disagree");
    seen_.refused += result.refused;
    if (result.error && !explained && !may_be_read_only_)
        fail(of + " was refused with " + strerror(result.error) + " at sector " +
             std::to_string(result.sector) + ", which no device explains");
    // A fenced block is where nobody knows until the disk is opened again.
    if (may_be_read_only_ && pair_.disk->status().state >= State::read_only) {
        for (std::uint64_t block = begin; block < end; ++block) touched_.insert(block);
        return;
    }
    std::uint64_t remapped = 0;
    for (std::uint64_t block = begin; block < end; ++block) remapped += remaps_.count(block);
    const bool unmap = what[0] == 'u';
    const std::uint64_t done = unmap ? end - begin - remapped : remapped;
    if (done != result.changed + result.unchanged)
        fail(of + " says " + std::to_string(result.changed + result.unchanged) +
             " blocks are where they shall be, the list " + std::to_string(done));
}

void Oracle::remap(std::uint64_t first, std::uint64_t count) {
    begin();
    const RangeResult result = pair_.disk->remap(first, count);
    refreshed_at_ = ~0ull;
    refresh();
    const DiskStatus status = pair_.disk->status();
    excuse_read_only(status);
    seen_.by_hand += result.changed;
    bool breaker = false;
    for (const Cause& cause : status.causes) breaker |= cause.name == "breaker";
    bool explained = status.slots_used + status.slots_bad >= status.slots;
    {
        const std::lock_guard lock(mutex_);
        explained |= slot_write_failed_ || metadata_failed_ || (breaker && !unread_.empty());
    }
    judge_by_hand("remap", result, first, count, explained);
}

void Oracle::unmap(std::uint64_t first, std::uint64_t count) {
    begin();
    std::uint64_t lost = 0;
    refreshed_at_ = ~0ull;
    refresh();
    for (auto at = remaps_.lower_bound(first / 8);
         at != remaps_.end() && at->first < (first + count + 7) / 8; ++at)
        lost += at->second.lost != 0;
    const RangeResult result = pair_.disk->unmap(first, count);
    refreshed_at_ = ~0ull;
    refresh();
    const DiskStatus status = pair_.disk->status();
    excuse_read_only(status);
    seen_.unmapped += result.changed;
    bool explained = lost != 0 || status.retired_pages != 0;
    {
        const std::lock_guard lock(mutex_);
        explained |= main_write_failed_ || slot_read_failed_ || metadata_failed_ ||
                     !unread_.empty() || !slot_unread_.empty();
    }
    judge_by_hand("unmap", result, first, count, explained);
    if (lost != 0 && result.refused < lost) fail("blocks with lost sectors were unmapped");
}

}  // namespace dmremap::test
