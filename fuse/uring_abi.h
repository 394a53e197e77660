// SPDX-License-Identifier: GPL-2.0-or-later
// What <linux/fuse.h> of Linux 6.14 and newer says of FUSE over io_uring, for systems whose headers
// are older. Sizes and places are the kernel's interface; the names are ours.
//
// The kernel has one queue of requests a possible processor, and a request waits in the queue of
// the processor its caller runs on. An entry is a pair of buffers that a queue may put one request
// into: it is enrolled once, by a command in an io_uring that ends when a request is there; then
// each answer is a command that also asks for the next request, and ends with it.
//
//   headers   | in: fuse_in_header           | arguments of the     | UringTransfer |
//             | out: fuse_out_header   (128) | operation, in  (128) |          (32) |
//   payload   | in: what follows the arguments: data to write, names                |
//             | out: all of the answer behind its header                            |
#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>

namespace dmremap {

// INIT: a bit of the upper half of the flags (flags2), offered by the kernel, taken by the answer.
constexpr std::uint32_t kInitOverIoUring2 = 1u << (41 - 32);

struct UringTransfer {
    std::uint64_t flags = 0;
    std::uint64_t commit_id = 0;      // in: what the answer must name its request by
    std::uint32_t payload_bytes = 0;  // in: of the request; out: of the answer
    std::uint32_t padding = 0;
    std::uint64_t reserved = 0;
};

struct UringHeaders {
    static constexpr std::size_t kRoom = 128;
    alignas(8) std::byte in_out[kRoom];
    std::byte arguments[kRoom];
    UringTransfer transfer;
};
static_assert(sizeof(UringTransfer) == 32 && sizeof(UringHeaders) == 288);
static_assert(sizeof(fuse_in_header) <= UringHeaders::kRoom);
static_assert(offsetof(UringHeaders, arguments) == 128 && offsetof(UringHeaders, transfer) == 256);

// Commands, of IORING_OP_URING_CMD on a descriptor of the mount. The ring must have been made with
// IORING_SETUP_SQE128, for this stands in the second half of the ring's entry.
enum UringCommandCode : std::uint32_t {
    kUringEnroll = 1,  // addr, len: two iovecs, headers and payload
    kUringCommit = 2,  // answers the request commit_id, and asks for the next one
};

struct UringCommand {
    std::uint64_t flags = 0;
    std::uint64_t commit_id = 0;
    std::uint16_t queue = 0;
    std::uint8_t padding[6] = {};
};
static_assert(sizeof(UringCommand) == 24);

}  // namespace dmremap
