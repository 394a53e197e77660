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
    thread_ = std::thread([this] { serve(); });
}

ImageAccess::~ImageAccess() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    changed_.notify_one();
    thread_.join();
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

// A write that failed may have been written in part.
void ImageAccess::done(Request& ended, int error) {
    auto& request = static_cast<ImageRequest&>(ended);
    auto& self = *static_cast<ImageAccess*>(request.context);
    request.error = error;
    const bool changed = request.op == Op::write && request.past_cache;
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
    changed_.notify_one();
    return may;
}

void ImageAccess::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return first_ != nullptr || everything_ || closing_; });
        ImageRequest* list = std::exchange(first_, nullptr);
        const bool everything = std::exchange(everything_, false);
        if (list == nullptr && !everything) return;
        lock.unlock();
        if (everything) drop_(0, 0);
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
