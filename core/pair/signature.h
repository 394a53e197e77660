// SPDX-License-Identifier: GPL-2.0-or-later
// What is on a device or image already, by its signatures (libblkid).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/device/device_facts.h"

namespace dmremap {

// "" when nothing is recognised, otherwise words for people: "ext4 file system labelled \"home\"",
// "linux_raid_member", "gpt partition table". A dm-remap spare is not recognised here. Throws
// Refusal(system) when the device cannot be probed.
std::string foreign_content(const FoundDevice& device);

// The partitions of the table that is on a device, whether the kernel presents them or not; an
// extended one is left out, those in it are not. Throws as foreign_content().
struct Partition {
    int number;           // as in its node's name
    std::uint64_t begin;  // bytes
    std::uint64_t size;   // bytes
};
std::vector<Partition> partitions(const FoundDevice& device);

// The same as foreign_content() of the first and the last MiB of a spare, which hold nothing of
// anybody's but one superblock copy: what is recognised there was not put there through the disk,
// so somebody made it over the spare. In between lie the slots, where a user's own data may look
// like anything. What the medium cannot give back counts as zeros. Throws Refusal(system) when it
// cannot be asked. Of a device too small for a spare nothing.
std::string foreign_at_the_edges(Device& spare);

// Why a spare with such content must not be used: what was found, and what to do; "" where there is
// none. Throws as foreign_at_the_edges().
std::string overwritten_sentence(Device& spare);

}  // namespace dmremap
