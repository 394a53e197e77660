// SPDX-License-Identifier: GPL-2.0-or-later
// Whether two devices may be main and spare of one pair: decisions about facts, no I/O. Each throws
// a Refusal that names both devices, what was found, and what to do.
#pragma once

#include <string>

#include "core/device/device.h"
#include "core/device/device_facts.h"

namespace dmremap {

// Before opening: not one device twice, no byte in common.
void check_apart(const FoundDevice& main, const FoundDevice& spare);

// Two partitions of one disk are allowed; then this is the note for the spare, otherwise "".
std::string shared_disk_note(const FoundDevice& main, const FoundDevice& spare);

// Opened: can this be a spare, and a spare of this main?
void check_spare(const DeviceInfo& spare);
void check_blocks(const DeviceInfo& main, const DeviceInfo& spare);

}  // namespace dmremap
