// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/image_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fuse/image_range.h"
#include "fuse/reply_channel.h"

namespace dmremap {

// Replies the error itself when there is no memory, and returns null.
Task* ImageFile::take(fuse_req_t fuse, Op op, std::uint64_t offset, std::uint64_t length) {
    const bool carries_data = op == Op::read || op == Op::write;
    Task* task = tasks_.take(carries_data ? length : 0);
    if (!task) {
        fuse_reply_err(fuse, ENOMEM);
        return nullptr;
    }
    task->owner = this;
    task->reply_to = fuse;
    task->way = ReplyChannel::current();
    task->request.op = op;
    task->request.offset = offset;
    task->request.length = length;
    // Data beside a request for zeros would be taken for what is to be written.
    task->request.data = carries_data ? task->memory : nullptr;
    task->request.done = answer;
    task->request.context = task;
    return task;
}

void ImageFile::answer(Request& request, int error) {
    auto* task = static_cast<Task*>(request.context);
    auto* fuse = static_cast<fuse_req_t>(task->reply_to);
    const ReplyChannel channel(task->way);
    // A reply that the kernel no longer wants (the mount was cut off) is freed by libfuse as well.
    if (error != 0)
        fuse_reply_err(fuse, error);
    else if (request.op == Op::read)
        fuse_reply_buf(fuse, reinterpret_cast<const char*>(request.data), request.length);
    else if (request.op == Op::write)
        fuse_reply_write(fuse, request.length);
    else
        fuse_reply_err(fuse, 0);
    static_cast<ImageFile*>(task->owner)->tasks_.give_back(task);
}

void ImageFile::read(fuse_req_t fuse, std::uint64_t offset, std::size_t length) {
    const ImageRange range = image_range(disk_, Op::read, offset, length);
    if (range.length == 0) {
        fuse_reply_buf(fuse, nullptr, 0);
        return;
    }
    if (Task* task = take(fuse, Op::read, offset, range.length)) disk_.submit(task->request);
}

void ImageFile::write(fuse_req_t fuse, std::uint64_t offset, const char* data, std::size_t length) {
    const ImageRange range = image_range(disk_, Op::write, offset, length);
    if (range.error != 0) {
        fuse_reply_err(fuse, range.error);
        return;
    }
    if (range.length == 0) {
        fuse_reply_write(fuse, 0);
        return;
    }
    if (Task* task = take(fuse, Op::write, offset, range.length)) {
        std::memcpy(task->memory, data, range.length);
        disk_.submit(task->request);
    }
}

void ImageFile::zero(fuse_req_t fuse, std::uint64_t offset, std::uint64_t length) {
    length = offset < size_ ? std::min(length, size_ - offset) : 0;
    if (length == 0) {
        fuse_reply_err(fuse, 0);
        return;
    }
    if (Task* task = take(fuse, Op::zero, offset, length)) disk_.submit(task->request);
}

void ImageFile::flush(fuse_req_t fuse) {
    if (Task* task = take(fuse, Op::flush, 0, 0)) disk_.submit(task->request);
}

}  // namespace dmremap
