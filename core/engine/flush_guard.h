// SPDX-License-Identifier: GPL-2.0-or-later
// A device that flushes once at a time, and whose first failed flush is remembered before anybody
// is told of it (P2).
//
// Linux reports a lost write at one fsync of a descriptor and forgets it. Whoever asks next, for
// whatever reason, would be told that all is well. So every flush of an open disk, the user's, a
// commit's, a superblock's, goes through here: when one fails, every later one fails without asking
// the device, and `failed` has run before the completion of any of them, so that nobody hears of it
// who could not see it.
//
// That is not enough for flushes that are under way together: the one that is not told may end
// before the one that is, and be believed. So the device has one at a time. Who comes meanwhile
// waits for the next one, which all share that wait for it. None asks for memory.
#pragma once

#include <functional>
#include <memory>

#include "core/device/device.h"

namespace dmremap {

// `failed(info, error)` is called once, on the thread that completes the flush; it must not block
// on I/O. Flushes that come meanwhile, on whatever thread, are completed on this one after it.
std::unique_ptr<Device> make_flush_guard(std::unique_ptr<Device> inner,
                                         std::function<void(const DeviceInfo&, int)> failed);

}  // namespace dmremap
