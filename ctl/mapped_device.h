// SPDX-License-Identifier: GPL-2.0-or-later
// Making a device-mapper device, through libdevmapper. Any one thread; the library keeps global
// state.
#pragma once

#include <cstdint>
#include <string>

namespace dmremap::ctl {

struct MappedDevice {
    std::string name;
    std::uint64_t sectors = 0;
    std::string target;      // its type, as "dm-remap-v4"
    std::string parameters;  // what follows the type in the table, escaped as the kernel takes it
    bool read_only = false;
};

// Throws Refusal(usage) for a name that device-mapper does not take.
void check_mapped_name(const std::string& name);

// Creates the device with its table and resumes it; its node is there afterwards. Nothing is left
// of it on an error. Throws Refusal: refused where the kernel has no device-mapper or not this
// target, or says no to the table (why is in its log); busy where a device of this name is there.
void create_mapped_device(const MappedDevice& device);

}  // namespace dmremap::ctl
