// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/reply_channel.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>

#include "fuse/fuse_api.h"

namespace dmremap {

thread_local int ReplyChannel::current_ = -1;
thread_local std::uint64_t ReplyChannel::request_ = 0;

int ReplyChannel::route(fuse_session& session) {
    fuse_custom_io io{};
    io.writev = [](int fd, iovec* pieces, int count, void*) {
        return ::writev(current_ < 0 ? fd : current_, pieces, count);
    };
    io.read = [](int fd, void* to, std::size_t size, void*) { return ::read(fd, to, size); };
    return -fuse_session_custom_io(&session, &io, fuse_session_fd(&session));
}

}  // namespace dmremap
