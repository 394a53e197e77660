// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/image_access.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace dmremap {

namespace {

std::uint64_t first_region(const Request& request) { return request.offset / ImageAccess::kRegion; }
std::uint64_t last_region(const Request& request) {
    return (request.offset + request.length - 1) / ImageAccess::kRegion;
}

}  // namespace

ImageAccess::ImageAccess(Disk& disk)
    : disk_(disk),
      size_(disk.size()),
      marks_(static_cast<std::uint8_t*>(std::calloc(size_ / kRegion + 1, 1))) {
    if (!marks_) throw std::bad_alloc();
    server_ = std::thread([this] { serve(); });
    try {
        sweeper_ = std::thread([this] { sweep(); });
    } catch (...) {
        end();
        throw;
    }
}

ImageAccess::~ImageAccess() { end(); }

void ImageAccess::end() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    changed_.notify_all();
    server_.join();
    if (sweeper_.joinable()) sweeper_.join();
}

void ImageAccess::submit(ImageRequest& request) {
    request.context = this;
    request.done = done;
    if (request.op != Op::flush) {
        const bool inside = request.offset < size_;
        const bool refused = !inside && request.op == Op::write && request.length != 0;
        request.length = inside ? std::min(request.length, size_ - request.offset) : 0;
        if (request.length == 0) {
            request.answer(request, refused ? ENOSPC : 0);
            return;
        }
    }
    const bool data = request.op == Op::read || request.op == Op::write;
    if (data && !request.past_cache) note_cached(request);
    disk_.submit(request);
}

// What is marked already costs no more than a look.
void ImageAccess::note_cached(const ImageRequest& request) {
    for (std::uint64_t region = first_region(request); region <= last_region(request); region++)
        if ((mark(region).load() & kCached) == 0) mark(region).fetch_or(kCached);
}

bool ImageAccess::marked(const ImageRequest& request) const {
    for (std::uint64_t region = first_region(request); region <= last_region(request); region++)
        if (mark(region).load() != 0) return true;
    return false;
}

// What failed may have been done in part. After zeros that were all written the kernel drops the
// pages itself.
void ImageAccess::done(Request& ended, int error) {
    auto& request = static_cast<ImageRequest&>(ended);
    auto& self = *static_cast<ImageAccess*>(request.context);
    request.error = error;
    const bool changed =
        (request.op == Op::write && request.past_cache) || (request.op == Op::zero && error != 0);
    if (changed && self.marked(request) && self.waits(request)) return;
    request.answer(request, error);
}

// False: too many do, and the whole cache will be dropped.
bool ImageAccess::waits(ImageRequest& request) {
    const std::lock_guard lock(mutex_);
    const bool may = waiting_ < kMostWaiting;
    if (may) {
        waiting_++;
        request.next = std::exchange(first_, &request);
    } else {
        everything_ = true;
    }
    changed_.notify_all();
    return may;
}

void ImageAccess::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return first_ != nullptr || closing_; });
        ImageRequest* list = std::exchange(first_, nullptr);
        if (list == nullptr) return;
        lock.unlock();
        while (list != nullptr) {
            ImageRequest& request = *std::exchange(list, list->next);
            drop_marked(request);
            lock.lock();
            waiting_--;
            lock.unlock();
            request.answer(request, request.error);
        }
        lock.lock();
    }
}

void ImageAccess::sweep() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return everything_ || closing_; });
        if (!std::exchange(everything_, false)) return;
        lock.unlock();
        drop_(0, 0);
        lock.lock();
    }
}

void ImageAccess::drop_marked(const ImageRequest& request) {
    for (std::uint64_t region = first_region(request); region <= last_region(request); region++) {
        if (mark(region).load() == 0) continue;  // dropped for another since
        mark(region).fetch_or(kBeingDropped);
        mark(region).fetch_and(static_cast<std::uint8_t>(~kCached));
        drop_(region * kRegion, kRegion);
        mark(region).fetch_and(static_cast<std::uint8_t>(~kBeingDropped));
    }
}

}  // namespace dmremap
