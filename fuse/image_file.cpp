// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/image_file.h"

#include <cerrno>
#include <cstring>

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
    ImageRequest& request = task->request;
    request.op = op;
    request.offset = offset;
    request.length = length;
    // Data beside a request for zeros would be taken for what is to be written.
    request.data = carries_data ? task->memory : nullptr;
    request.durable = request.past_cache = false;
    request.answer = answer;
    request.asker = task;
    return task;
}

void ImageFile::answer(ImageRequest& request, int error) {
    auto* task = static_cast<Task*>(request.asker);
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

void ImageFile::read(fuse_req_t fuse, std::uint64_t offset, std::size_t length, bool past_cache) {
    if (Task* task = take(fuse, Op::read, offset, length)) {
        task->request.past_cache = past_cache;
        image_.submit(task->request);
    }
}

void ImageFile::write(fuse_req_t fuse, std::uint64_t offset, const char* data, std::size_t length,
                      bool past_cache, bool durable) {
    if (Task* task = take(fuse, Op::write, offset, length)) {
        std::memcpy(task->memory, data, length);
        task->request.past_cache = past_cache;
        task->request.durable = durable;
        image_.submit(task->request);
    }
}

void ImageFile::zero(fuse_req_t fuse, std::uint64_t offset, std::uint64_t length, bool durable) {
    if (Task* task = take(fuse, Op::zero, offset, length)) {
        task->request.durable = durable;
        image_.submit(task->request);
    }
}

void ImageFile::flush(fuse_req_t fuse) {
    if (Task* task = take(fuse, Op::flush, 0, 0)) image_.submit(task->request);
}

}  // namespace dmremap
