// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/uring_entry.h"

#include <liburing.h>

#include <cerrno>
#include <cstring>
#include <new>

namespace dmremap {

UringEntry::UringEntry(std::uint16_t queue)
    : queue_(queue), memory_(allocate_aligned(kHead + kPayload)) {
    if (!memory_) throw std::bad_alloc();
    std::memset(memory_.get(), 0, kHead + kTouched);
    buffers_[0] = {.iov_base = memory_.get(), .iov_len = sizeof(UringHeaders)};
    buffers_[1] = {.iov_base = payload(), .iov_len = kPayload};
}

void UringEntry::prepare(io_uring_sqe& command, int descriptor, UringCommandCode code,
                         std::uint64_t commit_id) const {
    std::memset(&command, 0, 2 * sizeof(command));
    command.opcode = IORING_OP_URING_CMD;
    command.fd = descriptor;
    command.cmd_op = code;
    const UringCommand words{.flags = 0, .commit_id = commit_id, .queue = queue_, .padding = {}};
    std::memcpy(command.cmd, &words, sizeof(words));
}

void UringEntry::enroll(io_uring_sqe& command, int descriptor) {
    prepare(command, descriptor, kUringEnroll, 0);
    command.addr = reinterpret_cast<std::uintptr_t>(buffers_);
    command.len = 2;
}

void UringEntry::commit(io_uring_sqe& command, int descriptor) {
    prepare(command, descriptor, kUringCommit, commit_id_);
}

bool UringEntry::fetched(int result) {
    if (result != 0) return false;
    std::memcpy(&header_, headers().in_out, sizeof(header_));
    commit_id_ = headers().transfer.commit_id;
    payload_length_ = headers().transfer.payload_bytes;
    const std::size_t rest = sizeof(header_) + payload_length_;
    sound_ = payload_length_ <= kPayload && header_.len >= rest &&
             header_.len - rest <= UringHeaders::kRoom;
    arguments_length_ = sound_ ? header_.len - rest : 0;
    return true;
}

std::byte* UringEntry::message() {
    std::byte* const start = payload() - arguments_length_ - sizeof(header_);
    std::memcpy(start, &header_, sizeof(header_));
    std::memcpy(start + sizeof(header_), arguments(), arguments_length_);
    return start;
}

void UringEntry::answer(int error, std::size_t length) {
    if (error != 0) length = 0;
    fuse_out_header out{};
    out.len = static_cast<std::uint32_t>(sizeof(out) + length);
    out.error = -error;
    out.unique = header_.unique;
    std::memcpy(headers().in_out, &out, sizeof(out));
    headers().transfer.payload_bytes = static_cast<std::uint32_t>(length);
}

void UringEntry::answer_in_pieces(const iovec* pieces, int count) {
    fuse_out_header out;
    std::memcpy(&out, pieces[0].iov_base, sizeof(out));
    std::size_t length = 0;
    for (int i = 1; i < count && out.error == 0; i++) {
        if (pieces[i].iov_len > kPayload - length) {
            out.error = -EIO;
            break;
        }
        std::memcpy(payload() + length, pieces[i].iov_base, pieces[i].iov_len);
        length += pieces[i].iov_len;
    }
    answer(-out.error, length);
}

}  // namespace dmremap
