// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/control_files.h"

#include <spdlog/spdlog.h>

#include <array>
#include <cerrno>

#include "core/refusal.h"
#include "core/status_line.h"
#include "fuse/control_text.h"

namespace dmremap {

namespace {

int write_faults(const ControlContext& context, const std::string& text) {
    try {
        context.faults->apply(text);
    } catch (const Refusal& refusal) {
        spdlog::warn("control/inject: {}", refusal.what());
        return EINVAL;
    }
    return 0;
}

// The last one exists only where faults may be injected.
constexpr std::array kFiles = {
    ControlFile{"status", 0444,
                [](const ControlContext& c) { return status_line(c.disk.status(), c.demo) + "\n"; },
                nullptr},
    ControlFile{"state", 0444,
                [](const ControlContext& c) {
                    return std::string(state_name(c.disk.status().state)) + "\n";
                },
                nullptr},
    ControlFile{"reasons", 0444,
                [](const ControlContext& c) { return reasons_text(c.disk.status()); }, nullptr},
    ControlFile{"stats", 0444, [](const ControlContext& c) { return stats_text(c.disk.status()); },
                nullptr},
    ControlFile{"remaps", 0444, [](const ControlContext& c) { return remaps_text(c.disk); },
                nullptr},
    ControlFile{"uuid", 0444, [](const ControlContext& c) { return c.disk.status().uuid + "\n"; },
                nullptr},
    ControlFile{"version", 0444,
                [](const ControlContext&) { return std::string(DMREMAP_PROGRAM_VERSION "\n"); },
                nullptr},
    ControlFile{"inject", 0600, [](const ControlContext& c) { return c.faults->describe(); },
                write_faults},
};

}  // namespace

std::span<const ControlFile> control_files(const ControlContext& context) {
    return {kFiles.data(), context.faults ? kFiles.size() : kFiles.size() - 1};
}

}  // namespace dmremap
