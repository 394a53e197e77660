// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/call_ring.h"

#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/refusal.h"

namespace dmremap {

namespace {

constexpr unsigned kEntries = 256;

// Nobody else enters the ring, and what has ended is told when it is asked for: no interrupts. Both
// since Linux 6.1. The thread that enables the ring is the one.
constexpr unsigned kOneThread =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED;

}  // namespace

CallRing::CallRing(unsigned flags) {
    int failed = io_uring_queue_init(kEntries, &ring_, flags | kOneThread);
    if (failed == -EINVAL)
        failed = io_uring_queue_init(kEntries, &ring_, flags | IORING_SETUP_R_DISABLED);
    if (failed < 0)
        throw Refusal(RefusalKind::system,
                      std::string("io_uring cannot be had: ") + std::strerror(-failed));
}

CallRing::~CallRing() { io_uring_queue_exit(&ring_); }

// As a system call: liburing 2.3 declares a function for it, and does not have it.
int CallRing::take_over() {
    if (::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr,
                  0) != 0)
        return errno;
    current_ = this;
    return 0;
}

void CallRing::let_go() { current_ = nullptr; }

io_uring_sqe* CallRing::next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr && io_uring_submit(&ring_) >= 0) entry = io_uring_get_sqe(&ring_);
    return entry;
}

void CallRing::serve(bool wait) {
    const int waited =
        wait ? io_uring_submit_and_wait(&ring_, 1) : io_uring_submit_and_get_events(&ring_);
    if (waited < 0 && waited != -EINTR && waited != -EAGAIN && waited != -EBUSY) {
        // Not one of the calls failed but the ring: nothing that is under way can be known to end.
        spdlog::critical("io_uring fails: {}", std::strerror(-waited));
        std::abort();
    }
    io_uring_cqe* entry = nullptr;
    unsigned head = 0, count = 0;
    const unsigned ready = io_uring_cq_ready(&ring_);
    io_uring_for_each_cqe(&ring_, head, entry) {
        behind_ = count + 1 < ready ? ready - count - 1 : 0;
        const auto kind = static_cast<Kind>(entry->user_data % kKinds);
        // NOLINTNEXTLINE(performance-no-int-to-ptr): the ring carries numbers only
        void* const subject = reinterpret_cast<void*>(entry->user_data - kind);
        if (kind == kDevice) {
            under_way_--;
            Io& io = *static_cast<Io*>(subject);
            io.moved(io, entry->res);
        } else {
            settle(kind, subject, entry->res);
        }
        count++;
    }
    behind_ = 0;
    io_uring_cq_advance(&ring_, count);
}

bool CallRing::start(Io& io, int fd) {
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) return false;
    const auto length = static_cast<unsigned>(io.length);
    if (io.op == Op::read)
        io_uring_prep_read(entry, fd, io.data, length, io.offset);
    else if (io.op == Op::write)
        io_uring_prep_write(entry, fd, io.data, length, io.offset);
    else
        io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
    mark(*entry, &io, kDevice);
    under_way_++;
    return true;
}

}  // namespace dmremap
