// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/ring_loop.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "fuse/filesystem.h"
#include "fuse/image_message.h"

namespace dmremap {

thread_local RingLoop* RingLoop::mine_ = nullptr;

RingLoop::RingLoop(Filesystem& filesystem, DataSlots& slots, int waiting, int not_waiting,
                   Elsewhere elsewhere)
    : CallRing(0),
      filesystem_(filesystem),
      slots_(slots),
      waiting_(waiting),
      not_waiting_(not_waiting),
      elsewhere_(std::move(elsewhere)) {}

int RingLoop::run() {
    if (const int failed = take_over()) return failed;
    mine_ = this;
    while (!ended_ || under_way_ != 0) {
        if (under_way_ == 0 && !receiving_) {
            serve_one();
        } else {
            if (!ended_ && !receiving_) receive();
            serve();
        }
    }
    mine_ = nullptr;
    let_go();
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
    mark(*entry, slot, kReceive);
    receiving_ = true;
}

void RingLoop::settle(Kind kind, void* subject, int result) {
    auto* const slot = static_cast<DataSlot*>(subject);
    if (kind == kReceive) {
        receiving_ = false;
        received(*slot, result);
        return;
    }
    under_way_--;
    slots_.answered(*slot, result);
    slots_.give_back(slot);
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
        ask_read(slot.request, arguments, Filesystem::kMostTransferred);
        submit(slot);
    } else if (header.opcode == FUSE_WRITE && header.nodeid == Filesystem::kImageInode &&
               length >= sizeof(header) + sizeof(fuse_write_in)) {
        ask_write(slot.request, arguments, length - sizeof(header) - sizeof(fuse_write_in));
        filesystem_.note_write();
        submit(slot);
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

void RingLoop::submit(DataSlot& slot) {
    slot.request.data = slot.data();
    slot.request.asker = &slot;
    slot.request.answer = answered;
    filesystem_.image().submit(slot.request);
}

// On any thread.
void RingLoop::answered(ImageRequest& request, int error) {
    DataSlot& slot = *static_cast<DataSlot*>(request.asker);
    std::size_t length = request.length;
    if (request.op == Op::write) {
        fuse_write_out out{};
        out.size = static_cast<std::uint32_t>(request.length);
        std::memcpy(slot.data(), &out, sizeof(out));
        length = sizeof(out);
    }
    slot.make_reply(error, length);
    // By the descriptor that waits an answer in the ring would cost a worker thread.
    if (mine_ != nullptr && slot.channel == mine_->not_waiting_ && mine_->reply(slot)) return;
    const ssize_t written = ::write(slot.channel, slot.reply(), slot.reply_length);
    slot.owner->answered(slot, written < 0 ? -errno : written);
    slot.owner->give_back(&slot);
}

bool RingLoop::reply(DataSlot& slot) {
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) return false;
    io_uring_prep_write(entry, slot.channel, slot.reply(), static_cast<unsigned>(slot.reply_length),
                        0);
    mark(*entry, &slot, kReply);
    under_way_++;
    return true;
}

}  // namespace dmremap
