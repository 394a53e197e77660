// SPDX-License-Identifier: GPL-2.0-or-later
// Whether the machine runs on a battery that is nearly empty.
#pragma once

#include <string>

namespace dmremap {

// Some battery of the machine (not of a mouse) discharges and is below 20 %. False where nothing is
// known. Reads a few small files of the folder, as the kernel's /sys/class/power_supply has them;
// any thread; does not throw.
bool battery_low(const std::string& supplies) noexcept;

}  // namespace dmremap
