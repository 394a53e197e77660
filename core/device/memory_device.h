// SPDX-License-Identifier: GPL-2.0-or-later
// A device in memory, for tests and for the demo mount.
#pragma once

#include <memory>
#include <string>

#include "core/device/device.h"

namespace dmremap {

// Sparse (untouched parts cost nothing), initially zeros. Identity text:
// "serial=<name>\nsize=<size>\n". Every write is durable at once; crash behaviour is a matter of
// the recording device of the tests.
std::unique_ptr<Device> make_memory_device(std::string name, std::uint64_t size,
                                           std::uint32_t logical_block = 512,
                                           std::uint32_t physical_block = 512);

}  // namespace dmremap
