// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/event_history.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "core/format.h"

namespace dmremap {

bool EventHistory::goes_on(const Event& event) const {
    const bool of_block = event.kind == EventKind::remapped || event.kind == EventKind::unmapped ||
                          event.kind == EventKind::moved;
    if (!of_block || records_.empty()) return false;
    const Record& last = records_.back();
    return last.event.kind == event.kind && last.event.text == event.text &&
           last.event.sector + last.blocks * DMR_SECTORS_PER_BLOCK == event.sector;
}

void EventHistory::add(const Event& event) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const std::lock_guard lock(mutex_);
    if (goes_on(event)) {
        records_.back().blocks++;
        return;
    }
    if (records_.size() == kMostKept) records_.pop_front();
    records_.push_back({++last_id_, now.tv_sec, now.tv_nsec, event});
}

std::string EventHistory::json_lines() const {
    std::deque<Record> records;
    {
        const std::lock_guard lock(mutex_);
        records = records_;
    }
    std::string text;
    for (const Record& record : records) {
        nlohmann::ordered_json json = {{"id", record.id},
                                       {"time_unix", record.seconds},
                                       {"time_ns", record.nanoseconds},
                                       {"kind", event_kind_name(record.event.kind)}};
        if (event_has_sector(record.event.kind)) json["sector"] = record.event.sector;
        if (record.blocks != 1) json["blocks"] = record.blocks;
        if (record.event.count != 0) json["count"] = record.event.count;
        if (!record.event.text.empty()) json["text"] = record.event.text;
        // A device's name may hold any bytes.
        text += json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    return text;
}

}  // namespace dmremap
