// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/init_exchange.h"

#include <cstring>

namespace dmremap {

bool offers_io_uring(std::span<const std::byte> message) {
    fuse_in_header header;
    fuse_init_in init;
    if (message.size() < sizeof(header) + sizeof(init)) return false;
    std::memcpy(&header, message.data(), sizeof(header));
    std::memcpy(&init, message.data() + sizeof(header), sizeof(init));
    return header.opcode == FUSE_INIT && (init.flags & FUSE_INIT_EXT) != 0 &&
           (init.flags2 & kInitOverIoUring2) != 0;
}

bool take_io_uring(std::span<std::byte> answer) {
    fuse_init_out init;
    if (answer.size() != sizeof(init)) return false;
    std::memcpy(&init, answer.data(), sizeof(init));
    init.flags |= FUSE_INIT_EXT;
    init.flags2 |= kInitOverIoUring2;
    std::memcpy(answer.data(), &init, sizeof(init));
    return true;
}

}  // namespace dmremap
