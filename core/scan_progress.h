// SPDX-License-Identifier: GPL-2.0-or-later
// What is told of scans: how far one is, what was found, and what is asked of one.
#pragma once

#include <cstdint>
#include <string_view>

namespace dmremap {

enum class ScanOrder : std::uint8_t { start, stop, pause, resume };

enum class ScanState : std::uint8_t {
    idle,
    running,
    paused,   // by the user
    waiting,  // for something: see ScanProgress::waits_for
};

const char* scan_state_name(ScanState state);

struct ScanProgress {
    ScanState state = ScanState::idle;
    std::string_view waits_for;          // a literal; "" unless waiting
    std::uint64_t begin_sector = 0;      // of the pass under way
    std::uint64_t done_sectors = 0;      // of it; without one, of the last
    std::uint64_t total_sectors = 0;     // of the pass; without one, of main
    std::uint64_t bytes_per_second = 0;  // lately; 0: not known
    std::uint64_t eta_seconds = 0;       // 0: not known
    std::uint64_t found = 0;             // bad blocks, by the pass
    std::uint64_t found_ever = 0;        // by all passes
    std::uint64_t weak = 0;              // blocks listed now
    std::uint64_t passes = 0;            // of all of main, ended
    std::uint64_t pass_start = 0;        // Unix seconds; 0: never
    std::uint64_t pass_end = 0;
    std::uint64_t next_in_seconds = 0;  // until a pass begins by itself; only where `scheduled`
    bool scheduled = false;
    std::uint64_t scanned_sectors = 0;  // of main, from 0 on, that some pass has read
    std::uint64_t metadata_repairs = 0;
};

// A block that can be read, but not well.
struct WeakBlock {
    std::uint64_t sector;
    std::uint64_t ns;  // that a read of it took; 0: it is read only when it is tried again
};

}  // namespace dmremap
