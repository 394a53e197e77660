// SPDX-License-Identifier: GPL-2.0-or-later
// Does anybody use a device already, in a way that opening it would not show or not explain?
//
// Mounts and swap would show as a bare EBUSY; a loop device over an image would not show at all.
// Uses in another mount namespace are only seen by the kernel's own claim at opening.
#pragma once

#include <string>

#include "core/device/device_facts.h"

namespace dmremap {

// role: "main" or "spare", for the sentence. Throws Refusal(busy) naming the use.
void check_not_in_use(const FoundDevice& device, const std::string& role);

}  // namespace dmremap
