// SPDX-License-Identifier: GPL-2.0-or-later
// The control files: one table of names, modes and what makes their text.
//
// Sysfs manners: one value a file and a newline, errno on a bad write. Reading a file gives the
// text made when it was opened, so that it is one consistent picture however it is read.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>

#include "core/device/fault_plan.h"
#include "core/disk.h"

namespace dmremap {

// What control files speak of. The disk outlives it.
struct ControlContext {
    Disk& disk;
    bool demo = false;
    std::shared_ptr<FaultPlan> faults;  // null unless injecting was asked for
};

struct ControlFile {
    const char* name;
    mode_t mode;
    std::string (*text)(const ControlContext& context);
    // Takes one write() whole or not at all; 0 or a positive errno. Null: nothing can be written.
    int (*write)(const ControlContext& context, const std::string& text);
};

// Those that exist in this mount, always in the same order. Any thread; the disk may block `text`
// for a moment, but not on I/O.
std::span<const ControlFile> control_files(const ControlContext& context);

}  // namespace dmremap
