// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/reply_channel.h"

#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "fuse/fuse_api.h"

namespace dmremap {

thread_local ReplyWay ReplyChannel::current_;

namespace {

// Notifications, which have no request, and answers to other requests may be sent while a taker
// waits for its own; they go by the descriptor.
bool answers(const iovec& header, std::uint64_t request) {
    fuse_out_header out;
    if (header.iov_len < sizeof(out)) return false;
    std::memcpy(&out, header.iov_base, sizeof(out));
    return out.unique == request;
}

}  // namespace

int ReplyChannel::route(fuse_session& session) {
    fuse_custom_io io{};
    io.writev = [](int fd, iovec* pieces, int count, void*) -> ssize_t {
        if (current_.taker == nullptr || !answers(pieces[0], current_.request))
            return ::writev(current_.descriptor < 0 ? fd : current_.descriptor, pieces, count);
        ssize_t length = 0;
        for (int i = 0; i < count; i++) length += static_cast<ssize_t>(pieces[i].iov_len);
        std::exchange(current_.taker, nullptr)->take(pieces, count);
        return length;
    };
    io.read = [](int fd, void* to, std::size_t size, void*) { return ::read(fd, to, size); };
    return -fuse_session_custom_io(&session, &io, fuse_session_fd(&session));
}

}  // namespace dmremap
