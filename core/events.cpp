// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/events.h"

#include <array>

#include "core/format.h"

namespace dmremap {

const char* event_kind_name(EventKind kind) {
    switch (kind) {
        case EventKind::opened:
            return "opened";
        case EventKind::recovered:
            return "recovered";
        case EventKind::remapped:
            return "remapped";
        case EventKind::lost:
            return "lost";
        case EventKind::salvaged:
            return "salvaged";
        case EventKind::rewritten:
            return "rewritten";
        case EventKind::unmapped:
            return "unmapped";
        case EventKind::moved:
            return "moved";
        case EventKind::bad_slot:
            return "bad_slot";
        case EventKind::page_retired:
            return "page_retired";
        case EventKind::slot_unreadable:
            return "slot_unreadable";
        case EventKind::spare_low:
            return "spare_low";
        case EventKind::spare_full:
            return "spare_full";
        case EventKind::spare_fs_full:
            return "spare_fs_full";
        case EventKind::breaker_tripped:
            return "breaker_tripped";
        case EventKind::breaker_reset:
            return "breaker_reset";
        case EventKind::flush_failed:
            return "flush_failed";
        case EventKind::commit_failed:
            return "commit_failed";
        case EventKind::device_gone:
            return "device_gone";
        case EventKind::scan_started:
            return "scan_started";
        case EventKind::scan_ended:
            return "scan_ended";
        case EventKind::scan_found:
            return "scan_found";
        case EventKind::weak_block:
            return "weak_block";
        case EventKind::metadata_repaired:
            return "metadata_repaired";
        case EventKind::state_changed:
            return "state_changed";
        case EventKind::closed:
            return "closed";
    }
    return "?";
}

bool event_has_sector(EventKind kind) {
    switch (kind) {
        case EventKind::remapped:
        case EventKind::lost:
        case EventKind::salvaged:
        case EventKind::rewritten:
        case EventKind::unmapped:
        case EventKind::moved:
        case EventKind::bad_slot:
        case EventKind::slot_unreadable:
        case EventKind::scan_started:
        case EventKind::scan_found:
        case EventKind::weak_block:
            return true;
        default:
            return false;
    }
}

const char* reason_word(std::uint8_t reason) {
    constexpr std::array kWords = {"none",   "write_error", "read_error", "scan",
                                   "manual", "import",      "slow"};
    static_assert(kWords.size() == DMR_REASON_LAST + 1);
    return reason < kWords.size() ? kWords[reason] : "unknown";
}

}  // namespace dmremap
