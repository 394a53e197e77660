// SPDX-License-Identifier: GPL-2.0-or-later
// By which descriptor libfuse answers on this thread.
//
// Each loop has a descriptor of its own to the mount, and the kernel takes an answer only by the
// one its request came by. libfuse knows of one descriptor alone; so it is told to answer through
// here, and whoever hands it a request or an answer says by which.
#pragma once

struct fuse_session;

namespace dmremap {

class ReplyChannel {
public:
    // From here to the end of the scope. -1: the session's own.
    explicit ReplyChannel(int channel) : before_(current_) { current_ = channel; }
    ~ReplyChannel() { current_ = before_; }
    ReplyChannel(const ReplyChannel&) = delete;
    ReplyChannel& operator=(const ReplyChannel&) = delete;

    static int current() { return current_; }

    // Of a mounted session, before it serves. 0 or a positive errno.
    static int route(fuse_session& session);

private:
    static thread_local int current_;
    int before_;
};

}  // namespace dmremap
