// SPDX-License-Identifier: GPL-2.0-or-later
// INIT, the first message of a mount, in which kernel and daemon agree on what they do, as far as
// libfuse does not see to it: FUSE over io_uring, which this libfuse does not know.
//
// Pure: bytes in, bytes out.
#pragma once

#include <cstddef>
#include <span>

#include "fuse/uring_abi.h"

namespace dmremap {

// Whether the kernel's message, its header first, offers it.
bool offers_io_uring(std::span<const std::byte> message);

// Takes the offer in an answer, as it stands behind its header. False: the answer is of a protocol
// that has no room for it, and is as it was.
bool take_io_uring(std::span<std::byte> answer);

}  // namespace dmremap
