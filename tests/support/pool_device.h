// SPDX-License-Identifier: GPL-2.0-or-later
// A device whose calls are carried out by threads of its own, so that they complete later, on
// another thread and in another order than they were submitted.
#pragma once

#include <memory>

#include "core/device/device.h"

namespace dmremap::test {

// The destructor waits for what is in flight.
std::unique_ptr<Device> make_pool_device(std::unique_ptr<Device> inner, unsigned threads);

}  // namespace dmremap::test
