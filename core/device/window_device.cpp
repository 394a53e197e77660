// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/window_device.h"

#include <cerrno>

namespace dmremap {

WindowDevice::WindowDevice(Device& whole, std::uint64_t begin, std::uint64_t size)
    : whole_(whole), begin_(begin), info_(whole.info()) {
    info_.size = size;
    info_.read_only = true;
}

void WindowDevice::submit(Io& io) {
    if (io.op != Op::read)
        io.complete(EROFS);
    else if (io.offset > info_.size || io.length > info_.size - io.offset)
        io.complete(EINVAL);
    else
        io.complete(whole_.read(begin_ + io.offset, io.data, io.length));
}

}  // namespace dmremap
