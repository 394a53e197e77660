// SPDX-License-Identifier: GPL-2.0-or-later
// What a superblock keeps of the scans and of the days: the pass under way, the totals, the
// history. Nothing that concerns data rests on it; what cannot be is read as nothing.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/format.h"

namespace dmremap {

struct DaySample {
    std::uint32_t day = 0;     // since 1970-01-01 UTC
    std::uint32_t remaps = 0;  // blocks remapped that day or before, as far as still known
    std::uint32_t lost = 0;    // sectors lost that day or before
    std::uint32_t errors = 0;  // calls that main failed on that day
};

constexpr std::uint64_t kSecondsADay = 86400;

struct ScanRecord {
    std::uint32_t state = DMR_SCAN_NONE;  // enum dmr_scan_state
    // Blocks of main: the pass reads [begin, end), and has read all before cursor.
    std::uint64_t begin = 0, end = 0, cursor = 0;
    std::uint64_t pass_start = 0, pass_end = 0;  // Unix seconds; of this pass, of the last one
    std::uint64_t passes = 0;                    // of all of main, ended
    std::uint64_t found = 0, pass_found = 0;     // bad blocks: of all passes, of this one
    std::uint64_t metadata_repairs = 0;
    std::array<DaySample, DMR_HISTORY_DAYS> days{};  // the oldest first; day 0: none

    // As if the day were noted for the first time or once more. `errors` are those since it was
    // noted last. Days after today are dropped, for the clock was ahead then; but nothing is done
    // at a time before the spare was `created`, for then the clock is behind now.
    void note_day(std::uint64_t created, std::uint64_t now, std::uint64_t remaps,
                  std::uint64_t lost, std::uint64_t errors);
};

ScanRecord load_scan_record(const dmr_superblock& sb);
void store_scan_record(const ScanRecord& record, dmr_superblock& sb);

}  // namespace dmremap
