// SPDX-License-Identifier: GPL-2.0-or-later
// How a thread that must not wait (IoLoop) makes its calls to a file.
#pragma once

#include <cstdint>

namespace dmremap {

enum class CallWay : std::uint8_t {
    at_once,  // it lies in memory: the call itself is quicker than anything that avoids it
    loop,     // its file system or driver starts a call without waiting for it
    pool,     // any call may wait: threads have to do that
};

// Never fails: what cannot be found out is `pool`.
CallWay best_way(int fd);

}  // namespace dmremap
