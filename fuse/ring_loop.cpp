// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/ring_loop.h"

#include <linux/fuse.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "core/refusal.h"
#include "fuse/filesystem.h"
#include "fuse/image_range.h"

namespace dmremap {

namespace {

constexpr unsigned kEntries = 256;

// What an entry of the ring is of: the low bits of its pointer.
enum Kind : std::uintptr_t { kReceive, kReply, kDevice, kKinds = 4 };

std::uint64_t tagged(void* subject, Kind kind) {
    return reinterpret_cast<std::uintptr_t>(subject) | kind;
}

// Its own thread's loop, so that only one thread ever touches a ring.
RingLoop* mine() { return static_cast<RingLoop*>(IoLoop::current()); }

// Nobody else enters the ring, and what has ended is told when it is asked for: no interrupts. Both
// since Linux 6.1. The thread that enables the ring is the one.
constexpr unsigned kFlags =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED;

// As a system call: liburing 2.3 declares a function for it, and does not have it.
int enable(const io_uring& ring) {
    return ::syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr,
                     0) == 0
               ? 0
               : errno;
}

}  // namespace

RingLoop::RingLoop(Filesystem& filesystem, DataSlots& slots, int waiting, int not_waiting,
                   Elsewhere elsewhere)
    : filesystem_(filesystem),
      slots_(slots),
      waiting_(waiting),
      not_waiting_(not_waiting),
      elsewhere_(std::move(elsewhere)) {
    int failed = io_uring_queue_init(kEntries, &ring_, kFlags);
    if (failed == -EINVAL) failed = io_uring_queue_init(kEntries, &ring_, IORING_SETUP_R_DISABLED);
    if (failed < 0)
        throw Refusal(RefusalKind::system,
                      std::string("io_uring cannot be had: ") + std::strerror(-failed));
}

RingLoop::~RingLoop() { io_uring_queue_exit(&ring_); }

io_uring_sqe* RingLoop::next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr && io_uring_submit(&ring_) >= 0) entry = io_uring_get_sqe(&ring_);
    return entry;
}

int RingLoop::run() {
    if (const int failed = enable(ring_)) return failed;
    current_ = this;
    while (!ended_ || under_way_ != 0) {
        if (under_way_ == 0 && !receiving_)
            serve_one();
        else
            serve_ring();
    }
    current_ = nullptr;
    return error_;
}

void RingLoop::serve_one() {
    DataSlot* const slot = slots_.take();
    if (slot == nullptr) {  // without memory somebody's slot must come back first
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return;
    }
    slot->channel = waiting_;
    const ssize_t got = ::read(waiting_, slot->message(), DataSlots::message_capacity());
    received(*slot, got < 0 ? -errno : static_cast<int>(got));
}

void RingLoop::serve_ring() {
    if (!ended_ && !receiving_) receive();
    const int waited = io_uring_submit_and_wait(&ring_, 1);
    if (waited < 0 && waited != -EINTR && waited != -EAGAIN && waited != -EBUSY) {
        // Not one of the calls failed but the ring: nothing that is under way can be known to end.
        spdlog::critical("io_uring fails: {}", std::strerror(-waited));
        std::abort();
    }
    io_uring_cqe* entry = nullptr;
    unsigned head = 0, count = 0;
    io_uring_for_each_cqe(&ring_, head, entry) {
        settle(*entry);
        count++;
    }
    io_uring_cq_advance(&ring_, count);
}

void RingLoop::receive() {
    DataSlot* const slot = slots_.take();
    if (slot == nullptr) return;
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) {
        slots_.give_back(slot);
        return;
    }
    slot->channel = not_waiting_;
    io_uring_prep_read(entry, not_waiting_, slot->message(),
                       static_cast<unsigned>(DataSlots::message_capacity()), 0);
    entry->user_data = tagged(slot, kReceive);
    receiving_ = true;
}

void RingLoop::settle(const io_uring_cqe& entry) {
    const auto kind = static_cast<Kind>(entry.user_data % kKinds);
    void* const subject = reinterpret_cast<void*>(entry.user_data - kind);
    if (kind == kReceive) {
        receiving_ = false;
        received(*static_cast<DataSlot*>(subject), entry.res);
        return;
    }
    under_way_--;
    if (kind == kReply) {
        auto* const slot = static_cast<DataSlot*>(subject);
        slots_.answered(*slot, entry.res);
        slots_.give_back(slot);
    } else {
        Io& io = *static_cast<Io*>(subject);
        io.moved(io, entry.res);
    }
}

void RingLoop::received(DataSlot& slot, int result) {
    if (result < 0) {
        slots_.give_back(&slot);
        // ENOENT: the request was taken back before we had it.
        if (result == -EINTR || result == -EAGAIN || result == -ENOENT || result == -ENOMEM) return;
        ended_ = true;
        error_ = result == -ENODEV ? 0 : -result;
        return;
    }
    handle(slot, static_cast<std::size_t>(result));
}

void RingLoop::handle(DataSlot& slot, std::size_t length) {
    fuse_in_header header;
    if (length < sizeof(header)) {
        slots_.give_back(&slot);
        return;
    }
    std::memcpy(&header, slot.message(), sizeof(header));
    slot.unique = header.unique;
    const std::byte* const arguments = slot.message() + sizeof(header);
    if (header.opcode == FUSE_READ && header.nodeid == Filesystem::kImageInode &&
        length >= sizeof(header) + sizeof(fuse_read_in)) {
        fuse_read_in read;
        std::memcpy(&read, arguments, sizeof(read));
        submit(slot, Op::read, read.offset, read.size);
    } else if (header.opcode == FUSE_WRITE && header.nodeid == Filesystem::kImageInode &&
               length >= sizeof(header) + sizeof(fuse_write_in)) {
        fuse_write_in write;
        std::memcpy(&write, arguments, sizeof(write));
        filesystem_.note_write();
        submit(slot, Op::write, write.offset,
               std::min<std::size_t>(write.size, length - sizeof(header) - sizeof(write)));
    } else if (header.opcode == FUSE_INTERRUPT) {
        fuse_interrupt_in interrupt{};
        if (length >= sizeof(header) + sizeof(interrupt)) {
            std::memcpy(&interrupt, arguments, sizeof(interrupt));
            filesystem_.interrupts().interrupt(interrupt.unique);
        }
        slots_.give_back(&slot);
    } else {
        if (header.opcode == FUSE_WRITE) filesystem_.interrupts().expect(header.unique);
        elsewhere_(slot, length);
    }
}

void RingLoop::submit(DataSlot& slot, Op op, std::uint64_t offset, std::size_t length) {
    length = std::min<std::size_t>(length, Filesystem::kMostTransferred);
    const ImageRange range = image_range(filesystem_.disk(), op, offset, length);
    slot.request.op = op;
    slot.request.offset = offset;
    slot.request.length = range.length;
    slot.request.data = slot.data();
    slot.request.context = &slot;
    slot.request.done = answered;
    if (range.length == 0)
        answered(slot.request, range.error);
    else
        filesystem_.disk().submit(slot.request);
}

// On any thread.
void RingLoop::answered(Request& request, int error) {
    DataSlot& slot = *static_cast<DataSlot*>(request.context);
    std::size_t length = request.length;
    if (request.op == Op::write) {
        fuse_write_out out{};
        out.size = static_cast<std::uint32_t>(request.length);
        std::memcpy(slot.data(), &out, sizeof(out));
        length = sizeof(out);
    }
    slot.make_reply(error, length);
    // By the descriptor that waits an answer in the ring would cost a worker thread.
    RingLoop* const loop = mine();
    if (loop != nullptr && slot.channel == loop->not_waiting_ && loop->reply(slot)) return;
    const ssize_t written = ::write(slot.channel, slot.reply(), slot.reply_length);
    slot.owner->answered(slot, written < 0 ? -errno : written);
    slot.owner->give_back(&slot);
}

bool RingLoop::reply(DataSlot& slot) {
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) return false;
    io_uring_prep_write(entry, slot.channel, slot.reply(), static_cast<unsigned>(slot.reply_length),
                        0);
    entry->user_data = tagged(&slot, kReply);
    under_way_++;
    return true;
}

bool RingLoop::start(Io& io, int fd) {
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) return false;
    const auto length = static_cast<unsigned>(io.length);
    if (io.op == Op::read)
        io_uring_prep_read(entry, fd, io.data, length, io.offset);
    else if (io.op == Op::write)
        io_uring_prep_write(entry, fd, io.data, length, io.offset);
    else
        io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
    entry->user_data = tagged(&io, kDevice);
    under_way_++;
    return true;
}

}  // namespace dmremap
