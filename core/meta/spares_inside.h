// SPDX-License-Identifier: GPL-2.0-or-later
// Live spares in the partitions of a device that is about to become a spare itself.
#pragma once

#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/device/device_facts.h"

namespace dmremap {

struct SpareInside {
    std::string uuid;
    int partition = 0;  // as in its node's name
};

// In the order of the table. `device` is `found`, opened. What cannot be read holds none. Throws as
// foreign_content() (signature.h).
std::vector<SpareInside> spares_inside(Device& device, const FoundDevice& found);

}  // namespace dmremap
