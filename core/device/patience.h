// SPDX-License-Identifier: GPL-2.0-or-later
// Trying a call again that failed for want of something that may come back: memory, a descriptor, a
// signal's end. Such an error speaks of the machine, not of the place that was asked (P6).
#pragma once

#include <chrono>
#include <thread>

#include "core/device/error_class.h"

namespace dmremap {

constexpr int kResourceTries = 6;  // pauses of 1, 2, 4, 8, 16 ms

// Calls `call`, which returns an errno, until it returns something else than a resource error, at
// most kResourceTries times. The last errno. Blocks; not for a thread that serves requests.
template <typename Call>
int patiently(Call&& call) {
    int error = call();
    for (int tried = 0; tried + 1 < kResourceTries && classify(error) == ErrorClass::resource;
         tried++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1 << tried));
        error = call();
    }
    return error;
}

}  // namespace dmremap
