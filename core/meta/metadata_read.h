// SPDX-License-Identifier: GPL-2.0-or-later
// Reading metadata: what speaks against a copy, and what only says that nobody answers.
//
// A copy that the medium cannot give back is damaged, and the other copies answer for it. Every
// other error (the device is gone, no memory, a signal) says nothing of what stands there: it may
// be the only copy of the newest truth. Were it taken for damage an older copy would win, and be
// written over the newer one. So whoever decides between copies asks again, and then stops.
#pragma once

#include <cstdint>
#include <string>

#include "core/device/device.h"
#include "core/device/error_class.h"

namespace dmremap {

inline bool is_damage(int error) { return classify(error) == ErrorClass::medium; }

// As Device::read; a resource error is tried again, with pauses (patience.h). Does not throw.
int read_metadata(Device& spare, std::uint64_t offset, void* data, std::uint64_t length);

// Throws Refusal(system): `what` could not be read, for `error`, which is no damage.
[[noreturn]] void refuse_unread(const Device& spare, const std::string& what, int error);

}  // namespace dmremap
