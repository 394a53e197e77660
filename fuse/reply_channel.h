// SPDX-License-Identifier: GPL-2.0-or-later
// By which descriptor libfuse answers on this thread, and which request it was handed.
//
// Each loop has a descriptor of its own to the mount, and the kernel takes an answer only by the
// one its request came by. libfuse knows of one descriptor alone; so it is told to answer through
// here, and whoever hands it a request or an answer says by which.
#pragma once

#include <cstdint>

struct fuse_session;

namespace dmremap {

class ReplyChannel {
public:
    // From here to the end of the scope. -1: the session's own; 0: a request of libfuse's own loop.
    explicit ReplyChannel(int channel, std::uint64_t request = 0)
        : before_(current_), request_before_(request_) {
        current_ = channel;
        request_ = request;
    }
    ~ReplyChannel() {
        current_ = before_;
        request_ = request_before_;
    }
    ReplyChannel(const ReplyChannel&) = delete;
    ReplyChannel& operator=(const ReplyChannel&) = delete;

    static int current() { return current_; }
    static std::uint64_t request() { return request_; }  // the kernel's number of it

    // Of a mounted session, before it serves. 0 or a positive errno.
    static int route(fuse_session& session);

private:
    static thread_local int current_;
    static thread_local std::uint64_t request_;
    int before_;
    std::uint64_t request_before_;
};

}  // namespace dmremap
