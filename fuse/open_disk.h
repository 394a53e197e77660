// SPDX-License-Identifier: GPL-2.0-or-later
// From the options to an open disk: two devices, or memory for the demo, with faults or without.
#pragma once

#include <functional>
#include <memory>

#include "core/device/fault_plan.h"
#include "core/disk.h"
#include "fuse/mount_options.h"

namespace dmremap {

struct OpenedDisk {
    std::unique_ptr<Disk> disk;
    std::shared_ptr<FaultPlan> faults;  // null unless inject= was given
};

// Throws Refusal. Blocks, perhaps for seconds: a closing owner is waited for.
OpenedDisk open_disk(const MountOptions& options,
                     const std::function<void(const Event&)>& on_event);

}  // namespace dmremap
