// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/uring_loop.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/refusal.h"
#include "fuse/filesystem.h"
#include "fuse/image_message.h"

namespace dmremap {

thread_local UringLoop* UringLoop::mine_ = nullptr;

UringLoop::UringLoop(Filesystem& filesystem, int descriptor, UringLoops& loops, std::size_t number,
                     Elsewhere elsewhere)
    : CallRing(IORING_SETUP_SQE128),
      filesystem_(filesystem),
      descriptor_(descriptor),
      loops_(loops),
      number_(number),
      elsewhere_(std::move(elsewhere)),
      wake_(::eventfd(0, EFD_CLOEXEC)) {
    if (!wake_)
        throw Refusal(RefusalKind::system,
                      std::string("an eventfd cannot be had: ") + std::strerror(errno));
}

void UringLoop::add_entry(std::uint16_t queue) {
    requests_.push_back(std::make_unique<UringRequest>(*this, queue));
    loops_.shares.join(queue, number_);
}

void UringLoop::enroll_one() {
    if (enrolled_ == requests_.size()) return;
    UringRequest& request = *requests_[enrolled_++];
    if (!send(request)) hand_over(request);
    submit();
}

void UringLoop::run() {
    mine_ = this;
    for (;;) {
        const bool all = send_handed_over() && wait_for_a_wake();
        if (under_way_ == 0 && at_the_disk_ == 0) {
            const std::lock_guard lock(mutex_);
            closed_ = ended_ && handed_over_ == nullptr;
            if (closed_) break;
        }
        serve(all);
    }
    mine_ = nullptr;
    let_go();
}

bool UringLoop::wait_for_a_wake() {
    if (waits_for_a_wake_) return true;
    io_uring_sqe* const entry = next_entry();
    if (entry == nullptr) return false;
    io_uring_prep_read(entry, wake_.get(), &wakes_, sizeof(wakes_), 0);
    mark(*entry, nullptr, kWake);
    return waits_for_a_wake_ = true;
}

void UringLoop::settle(Kind kind, void* subject, int result) {
    if (kind == kWake) {
        waits_for_a_wake_ = false;
        return;
    }
    under_way_--;
    auto& request = *static_cast<UringRequest*>(subject);
    if (request.entry.fetched(result)) {
        request.enrolled = true;
        handle(request);
    } else {
        failed(request, result);
    }
}

// No request came. Where the ring had no memory for the command, the kernel's fuse has not seen it,
// and waits for it; else the entry is out of use.
void UringLoop::failed(UringRequest& request, int result) {
    if (result == -ENOMEM || result == -EAGAIN) {
        hand_over(request);
        return;
    }
    if (result == -ENOTCONN || result == -ECONNABORTED || result == -ECANCELED) return;
    spdlog::error("the kernel's fuse did not take {}: {}",
                  request.enrolled ? "an answer by io_uring" : "an entry of io_uring",
                  std::strerror(-result));
}

void UringLoop::handle(UringRequest& request) {
    const UringEntry& entry = request.entry;
    const fuse_in_header& header = entry.header();
    request.counted = true;
    place_.serve(entry.queue(), loops_.crowd.enter(entry.queue()));
    loops_.shares.came(entry.queue(), number_);
    request.holders = 1;
    if (!entry.sound()) {
        request.entry.answer(EIO, 0);
        release(request);
    } else if (header.opcode == FUSE_READ && header.nodeid == Filesystem::kImageInode &&
               entry.arguments_length() >= sizeof(fuse_read_in)) {
        ask_read(request.request, entry.arguments(), UringEntry::kPayload);
        begin(request);
    } else if (header.opcode == FUSE_WRITE && header.nodeid == Filesystem::kImageInode &&
               entry.arguments_length() >= sizeof(fuse_write_in)) {
        ask_write(request.request, entry.arguments(), entry.payload_length());
        filesystem_.note_write();
        begin(request);
    } else if (header.opcode == FUSE_FSYNC && header.nodeid == Filesystem::kImageInode &&
               !filesystem_.disk().read_only()) {
        ask_flush(request.request);
        begin(request);
    } else {
        if (header.opcode == FUSE_WRITE) filesystem_.interrupts().expect(header.unique);
        request.holders = 2;
        elsewhere_(request);
    }
}

void UringLoop::begin(UringRequest& request) {
    request.of_the_disk = true;
    at_the_disk_++;
    request.request.data = request.entry.payload();
    request.request.asker = &request;
    request.request.answer = answered;
    filesystem_.image().submit(request.request);
}

// On any thread.
void UringLoop::answered(ImageRequest& done, int error) {
    auto& request = *static_cast<UringRequest*>(done.asker);
    std::size_t length = done.length;
    if (done.op == Op::write) {
        fuse_write_out out{};
        out.size = static_cast<std::uint32_t>(done.length);
        std::memcpy(request.entry.payload(), &out, sizeof(out));
        length = sizeof(out);
    }
    request.entry.answer(error, length);
    request.loop->release(request);
}

void UringRequest::take(const iovec* pieces, int count) {
    entry.answer_in_pieces(pieces, count);
    loop->release(*this);
}

void UringLoop::release(UringRequest& request) {
    if (--request.holders != 0) return;
    if (mine_ != this || !send(request)) hand_over(request);
}

// For the kernel; or first for the loop that its entry belongs to from now on.
bool UringLoop::send(UringRequest& request) {
    const std::uint16_t queue = request.entry.queue();
    if (std::exchange(request.counted, false)) loops_.crowd.leave(queue);
    if (std::exchange(request.of_the_disk, false)) {
        at_the_disk_--;
        if (behind_ != 0 && request.request.length >= UringShares::kLong) {
            const std::size_t heir = loops_.shares.heir(queue, number_);
            if (heir != number_) {
                request.loop = loops_.all[heir].get();
                request.loop->hand_over(request);
                return true;
            }
        }
    }
    io_uring_sqe* const command = next_entry();
    if (command == nullptr) return false;
    if (request.enrolled)
        request.entry.commit(*command, descriptor_);
    else
        request.entry.enroll(*command, descriptor_);
    mark(*command, &request, kReceive);
    under_way_++;
    return true;
}

// Wakes with the lock held: once the loop can see the request it may end, and the eventfd with it.
void UringLoop::hand_over(UringRequest& request) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    const bool first = handed_over_ == nullptr;
    request.next = std::exchange(handed_over_, &request);
    if (first) ::eventfd_write(wake_.get(), 1);
}

// False: some must wait until the ring has room.
bool UringLoop::send_handed_over() {
    UringRequest* list = nullptr;
    {
        const std::lock_guard lock(mutex_);
        list = std::exchange(handed_over_, nullptr);
    }
    while (list != nullptr) {
        UringRequest& request = *list;
        list = request.next;
        if (send(request)) continue;
        hand_over(request);
        while (list != nullptr) hand_over(*std::exchange(list, list->next));
        return false;
    }
    return true;
}

void UringLoop::end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    ::eventfd_write(wake_.get(), 1);
}

}  // namespace dmremap
