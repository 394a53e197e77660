// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/event_history.h"

#include <algorithm>
#include <new>
#include <nlohmann/json.hpp>
#include <queue>
#include <utility>
#include <vector>

#include "core/format.h"

namespace dmremap {

namespace {

// The remaps that were made last, at most `most`, oldest first.
std::vector<RemapInfo> newest_remaps(const Disk& disk, std::size_t most) {
    const auto before = [](const RemapInfo& a, const RemapInfo& b) {
        return a.time != b.time ? a.time < b.time : a.sector < b.sector;
    };
    const auto newer = [&before](const RemapInfo& a, const RemapInfo& b) { return before(b, a); };
    std::priority_queue<RemapInfo, std::vector<RemapInfo>, decltype(newer)> newest(newer);
    disk.list_remaps([&](const RemapInfo& remap) {
        if (newest.size() == most && !before(newest.top(), remap)) return;
        if (newest.size() == most) newest.pop();
        newest.push(remap);
    });
    std::vector<RemapInfo> remaps;
    for (; !newest.empty(); newest.pop()) remaps.push_back(newest.top());
    return remaps;
}

}  // namespace

bool EventHistory::Record::takes(const Event& next) const {
    const bool of_block = next.kind == EventKind::remapped || next.kind == EventKind::unmapped ||
                          next.kind == EventKind::moved;
    return of_block && event.kind == next.kind && event.text == next.text &&
           event.sector + blocks * DMR_SECTORS_PER_BLOCK == next.sector;
}

std::string EventHistory::Record::line() const {
    nlohmann::ordered_json json = {{"id", id},
                                   {"time_unix", seconds},
                                   {"time_ns", nanoseconds},
                                   {"kind", event_kind_name(event.kind)}};
    if (event_has_sector(event.kind)) json["sector"] = event.sector;
    if (blocks != 1) json["blocks"] = blocks;
    if (event.count != 0) json["count"] = event.count;
    if (!event.text.empty()) json["text"] = event.text;
    // A device's name may hold any bytes.
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void EventHistory::settle() {
    if (!unsettled_) return;
    lines_.push_back(unsettled_->line());
    extent_.bytes += lines_.back().size();
    unsettled_.reset();
    if (lines_.size() < 2 * kLeastKept) return;
    for (std::size_t i = 0; i < kLeastKept; i++) {
        extent_.bytes -= lines_.front().size();
        lines_.pop_front();
    }
}

void EventHistory::add(const Event& event) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const std::lock_guard lock(mutex_);
    if (unsettled_ && unsettled_->takes(event)) {
        unsettled_->blocks++;
    } else {
        settle();
        unsettled_ = Record{last_id_ + 1, now.tv_sec, now.tv_nsec, event};
        last_id_++;
    }
    extent_.changed = now.tv_sec;
    if (event.kind == EventKind::state_changed) state_changes_++;
    if (watcher_) watcher_();
}

void EventHistory::recall(const Disk& disk) {
    std::vector<Record> records;
    for (const RemapInfo& remap : newest_remaps(disk, kLeastKept)) {
        const auto time = static_cast<std::int64_t>(remap.time);
        const Event event = {EventKind::remapped, remap.sector, 0, reason_word(remap.reason)};
        if (!records.empty() && records.back().seconds == time && records.back().takes(event))
            records.back().blocks++;
        else
            records.push_back({0, time, 0, event});
    }
    std::int64_t id = 0;
    const std::lock_guard lock(mutex_);
    for (auto record = records.rbegin(); record != records.rend(); ++record) {
        record->id = id--;
        lines_.push_front(record->line());
        extent_.bytes += lines_.front().size();
    }
}

void EventHistory::watch(std::function<void()> watcher) {
    const std::lock_guard lock(mutex_);
    watcher_ = std::move(watcher);
}

std::string EventHistory::lines_after(std::int64_t& last) {
    const std::lock_guard lock(mutex_);
    settle();
    const std::int64_t before_all = last_id_ - static_cast<std::int64_t>(lines_.size());
    const auto known = static_cast<std::size_t>(std::max(last, before_all) - before_all);
    std::string text;
    for (std::size_t i = known; i < lines_.size(); i++) text += lines_[i];
    last = last_id_;
    return text;
}

std::int64_t EventHistory::last_id() const {
    const std::lock_guard lock(mutex_);
    return last_id_;
}

std::uint64_t EventHistory::state_changes() const {
    const std::lock_guard lock(mutex_);
    return state_changes_;
}

EventHistory::Extent EventHistory::extent() noexcept {
    const std::lock_guard lock(mutex_);
    try {
        settle();
    } catch (const std::bad_alloc&) {
    }
    return extent_;
}

}  // namespace dmremap
