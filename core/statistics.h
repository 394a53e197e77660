// SPDX-License-Identifier: GPL-2.0-or-later
// The numbers of a disk under the names that users see: one table, from which `stats`, `stats.json`
// and the Prometheus metrics are written, so that they cannot disagree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/disk.h"

namespace dmremap {

enum class MetricType : std::uint8_t { counter, gauge, summary };

// What Prometheus shows of some numbers together: they differ in their labels (and, of a summary,
// in the suffix).
struct MetricFamily {
    const char* name;  // by its conventions: base units, counters end in _total
    MetricType type;
    const char* help;
};

struct Statistic {
    std::string name;  // stable; times in ns, sizes in bytes, sectors of 512 bytes
    std::uint64_t value;
    const MetricFamily* family;  // null: the sum of a family that has it by its labels
    const char* suffix;          // of the family's name, "" for none
    std::string label;           // name="value", "" for none
    bool nanoseconds;            // the metric is in seconds
};

// Those of one family stand together.
std::vector<Statistic> statistics(const DiskStatus& status);

// "name value" lines.
std::string statistics_text(const DiskStatus& status);

// Slots that can still take a block.
std::uint64_t free_slots(const DiskStatus& status);

}  // namespace dmremap
