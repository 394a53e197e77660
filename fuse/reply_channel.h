// SPDX-License-Identifier: GPL-2.0-or-later
// By which way libfuse answers on this thread, and which request it was handed.
//
// The kernel takes an answer only by the way its request came: by one of several descriptors, or in
// the buffers of an entry of FUSE over io_uring. libfuse knows of one descriptor alone; so it is
// told to answer through here, and whoever hands it a request or an answer says by which way. Who
// answers later, or on another thread, keeps current() for that.
#pragma once

#include <cstdint>

struct fuse_session;
struct iovec;

namespace dmremap {

// Takes an answer where a descriptor does not. Its pieces are those of writev(2), the header first.
class ReplyTaker {
public:
    virtual ~ReplyTaker() = default;
    virtual void take(const iovec* pieces, int count) = 0;
};

struct ReplyWay {
    int descriptor = -1;          // -1: the session's own
    std::uint64_t request = 0;    // the kernel's number of it; 0: one of libfuse's own loop
    ReplyTaker* taker = nullptr;  // of the answer to this request alone
};

class ReplyChannel {
public:
    // From here to the end of the scope.
    explicit ReplyChannel(const ReplyWay& way) : before_(current_) { current_ = way; }
    ~ReplyChannel() { current_ = before_; }
    ReplyChannel(const ReplyChannel&) = delete;
    ReplyChannel& operator=(const ReplyChannel&) = delete;

    static const ReplyWay& current() { return current_; }

    // Of a mounted session, before it serves. 0 or a positive errno.
    static int route(fuse_session& session);

private:
    static thread_local ReplyWay current_;
    const ReplyWay before_;
};

}  // namespace dmremap
