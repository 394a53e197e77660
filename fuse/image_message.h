// SPDX-License-Identifier: GPL-2.0-or-later
// What a message of the kernel's asks of disk.img: the arguments of FUSE_READ and FUSE_WRITE, as
// they come by /dev/fuse and by io_uring (<linux/fuse.h>).
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "fuse/image_access.h"

namespace dmremap {

// `arguments` must hold a fuse_read_in; `most` bytes have room.
inline void ask_read(ImageRequest& request, const std::byte* arguments, std::size_t most) {
    fuse_read_in in;
    std::memcpy(&in, arguments, sizeof(in));
    request.op = Op::read;
    request.offset = in.offset;
    request.length = std::min<std::size_t>(in.size, most);
    request.durable = false;
    request.past_cache = (in.read_flags & FUSE_READ_LOCKOWNER) != 0;
}

// `arguments` must hold a fuse_write_in; `there` bytes of data are. A write of a file opened with
// O_DSYNC or O_SYNC, or with RWF_DSYNC or RWF_SYNC, says so in its flags. Where the kernel waits
// for the write, it sends an FSYNC after it all the same; where libaio or io_uring do, it does not.
inline void ask_write(ImageRequest& request, const std::byte* arguments, std::size_t there) {
    fuse_write_in in;
    std::memcpy(&in, arguments, sizeof(in));
    request.op = Op::write;
    request.offset = in.offset;
    request.length = std::min<std::size_t>(in.size, there);
    request.durable = (in.flags & O_DSYNC) != 0;
    request.past_cache = (in.write_flags & FUSE_WRITE_LOCKOWNER) != 0;
}

inline void ask_flush(ImageRequest& request) {
    request.op = Op::flush;
    request.offset = request.length = 0;
    request.durable = request.past_cache = false;
}

}  // namespace dmremap
