// SPDX-License-Identifier: GPL-2.0-or-later
// A device that fails as real media do: a decorator that consults a fault plan before each call.
// The plan's text grammar is in FAULTS.md beside this file.
#pragma once

#include <memory>
#include <string>

#include "core/device/device.h"

namespace dmremap {

class FaultPlan;  // fault_plan.h

// `role` is the word that selects the plan's lines: "main" or "spare"; throws Refusal(usage) on any
// other. The plan is shared, so that it can be changed while the device runs. The inner device's
// name and identity are kept, so that a pair is recognised with and without faults.
//
// A call that the plan delays does not hold up submit(): it goes on from a thread of the device.
// Those still delayed when the device is destroyed go on at once.
std::unique_ptr<Device> make_fault_device(std::unique_ptr<Device> inner, std::string role,
                                          std::shared_ptr<FaultPlan> plan);

}  // namespace dmremap
