// SPDX-License-Identifier: GPL-2.0-or-later
// What is on a device or image already, by its signatures (libblkid).
#pragma once

#include <string>

namespace dmremap {

// "" when nothing is recognised, otherwise words for people: "ext4 file system labelled \"home\"",
// "linux_raid_member", "gpt partition table". A dm-remap spare is not recognised here. Throws
// Refusal(system) when the device cannot be probed.
std::string foreign_content(const std::string& path);

}  // namespace dmremap
