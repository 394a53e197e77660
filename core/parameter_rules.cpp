// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/parameter_rules.h"

#include <array>

namespace dmremap {

namespace {

using P = Parameters;
using U = std::uint32_t;

constexpr U kRegionsMax = 1000000;
constexpr U kSpeedMax = 1u << 30;

constexpr std::array kRules = {
    ParameterRule{"read_retries", false, 0, kReadRetriesMax,
                  "further tries of a logical block before it counts as bad",
                  [](const P& p) { return p.read_retries; }, [](P& p, U v) { p.read_retries = v; }},
    ParameterRule{"remap_on_read_error", true, 0, 1,
                  "move what cannot be read, not only what cannot be written",
                  [](const P& p) { return U{p.remap_on_read_error}; },
                  [](P& p, U v) { p.remap_on_read_error = v != 0; }},
    ParameterRule{"lost_retry_minutes", false, 0, kMinutesMax,
                  "how often retry sectors are read again, 0: never",
                  [](const P& p) { return p.lost_retry_minutes; },
                  [](P& p, U v) { p.lost_retry_minutes = v; }},
    ParameterRule{"breaker_regions", false, 0, kRegionsMax,
                  "regions that fail with no success in between until the breaker trips, 0: never",
                  [](const P& p) { return p.breaker_regions; },
                  [](P& p, U v) { p.breaker_regions = v; }},
    ParameterRule{"enable_background_scanning", true, 0, 1, "let scans begin by themselves",
                  [](const P& p) { return U{p.background_scanning}; },
                  [](P& p, U v) { p.background_scanning = v != 0; }},
    ParameterRule{"scan_interval_hours", false, 1, kHoursMax,
                  "from the end of a scan to the beginning of the next",
                  [](const P& p) { return p.scan_interval_hours; },
                  [](P& p, U v) { p.scan_interval_hours = v; }},
    ParameterRule{"scan_speed_max", false, 0, kSpeedMax,
                  "KiB a second that a scan reads at most, 0: no limit",
                  [](const P& p) { return p.scan_speed_max; },
                  [](P& p, U v) { p.scan_speed_max = v; }},
    ParameterRule{"relocate_weak", true, 0, 1,
                  "move blocks that can be read, but only slowly or by trying again",
                  [](const P& p) { return U{p.relocate_weak}; },
                  [](P& p, U v) { p.relocate_weak = v != 0; }},
};

}  // namespace

std::span<const ParameterRule> parameter_rules() { return kRules; }

}  // namespace dmremap
