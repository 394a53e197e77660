// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/io_loop.h"

namespace dmremap {

thread_local IoLoop* IoLoop::current_ = nullptr;

}  // namespace dmremap
