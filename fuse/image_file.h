// SPDX-License-Identifier: GPL-2.0-or-later
// The data of disk.img: file operations become requests to the disk and are answered from their
// completions. Loops over io_uring serve reads and writes without it (ring_loop.h); the rest of the
// operations comes here always.
//
// No call here waits for the disk: the request owns its task, and whoever completes it (perhaps the
// calling thread, before the call returns) replies. So a request that is parked or retried holds
// no FUSE thread, and a deep queue needs no more of them. Any thread. Each call replies exactly
// once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fuse/fuse_api.h"
#include "fuse/image_access.h"
#include "fuse/task_pool.h"

namespace dmremap {

class ImageFile {
public:
    explicit ImageFile(ImageAccess& image) : image_(image) {}

    // Waits until all requests are answered; `image` and the FUSE session must still be there.
    ~ImageFile() { tasks_.wait_for_all(); }
    ImageFile(const ImageFile&) = delete;
    ImageFile& operator=(const ImageFile&) = delete;

    // How a range behind the end of the disk is taken, and what is past the cache or durable:
    // image_access.h.
    void read(fuse_req_t fuse, std::uint64_t offset, std::size_t length, bool past_cache);
    void write(fuse_req_t fuse, std::uint64_t offset, const char* data, std::size_t length,
               bool past_cache, bool durable);
    void zero(fuse_req_t fuse, std::uint64_t offset, std::uint64_t length, bool durable);
    void flush(fuse_req_t fuse);

private:
    Task* take(fuse_req_t fuse, Op op, std::uint64_t offset, std::uint64_t length);
    static void answer(ImageRequest& request, int error);

    ImageAccess& image_;
    TaskPool tasks_;
};

}  // namespace dmremap
