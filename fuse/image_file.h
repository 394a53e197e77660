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

#include "core/disk.h"
#include "fuse/fuse_api.h"
#include "fuse/task_pool.h"

namespace dmremap {

class ImageFile {
public:
    explicit ImageFile(Disk& disk) : disk_(disk), size_(disk.size()) {}

    // Waits until all requests are answered; the disk and the FUSE session must still be there.
    ~ImageFile() { tasks_.wait_for_all(); }
    ImageFile(const ImageFile&) = delete;
    ImageFile& operator=(const ImageFile&) = delete;

    std::uint64_t size() const { return size_; }

    // Whole, up to the end of the disk, or an error.
    void read(fuse_req_t fuse, std::uint64_t offset, std::size_t length);

    // Up to the end of the disk; ENOSPC from there on, as a block device has it.
    void write(fuse_req_t fuse, std::uint64_t offset, const char* data, std::size_t length);

    // Zeros; the part behind the end of the disk is ignored.
    void zero(fuse_req_t fuse, std::uint64_t offset, std::uint64_t length);

    void flush(fuse_req_t fuse);

private:
    Task* take(fuse_req_t fuse, Op op, std::uint64_t offset, std::uint64_t length);
    static void answer(Request& request, int error);

    Disk& disk_;
    const std::uint64_t size_;
    TaskPool tasks_;
};

}  // namespace dmremap
