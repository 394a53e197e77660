// SPDX-License-Identifier: GPL-2.0-or-later
// What the core reports as it happens. The core keeps no log of its own: whoever opens a disk gives
// a function that takes these.
#pragma once

#include <cstdint>
#include <string>

namespace dmremap {

enum class EventKind : std::uint8_t {
    opened,           // text: how (clean, recovered, read-only, ...)
    recovered,        // metadata was repaired at open; text says what
    remapped,         // sector: the block; text: the reason's word
    lost,             // sector, count: sectors that nobody could read
    salvaged,         // sector, count: lost sectors that came back
    rewritten,        // sector, count: lost sectors that the user wrote anew
    unmapped,         // sector: a block that went back to main
    moved,            // sector: a block that changed its slot
    bad_slot,         // sector: of the spare
    page_retired,     // count: pages of the entry table newly out of use
    slot_unreadable,  // sector: of main; the block keeps its slot
    spare_low,        // count: percent free (20, 10, 5)
    spare_full,
    spare_fs_full,  // ENOSPC from the file system under a spare image
    breaker_tripped,
    breaker_reset,
    flush_failed,
    commit_failed,
    device_gone,
    scan_started,       // sector: where it begins or goes on; text: why
    scan_ended,         // count: bad blocks found; text: how
    scan_found,         // sector: a block that cannot be read, before it is relocated
    weak_block,         // sector: a block that is slow, or read only when it is tried again
    metadata_repaired,  // count: damaged copies of pages or superblocks, rewritten
    state_changed,      // text: "old -> new: causes"
    closed,
};

const char* event_kind_name(EventKind kind);  // as above, stable: part of the interface
bool event_has_sector(EventKind kind);

// Why a block was remapped, as one word: read_error and the like. Of enum dmr_reason; stable, too.
const char* reason_word(std::uint8_t reason);

struct Event {
    EventKind kind;
    std::uint64_t sector = 0;  // 512-byte sector, where the kind has one
    std::uint64_t count = 0;
    std::string text;  // a sentence or a word for people; may be empty
};

}  // namespace dmremap
