// SPDX-License-Identifier: GPL-2.0-or-later
// The way of disk.img's data from whoever serves the mount to the disk and back: as much of a range
// as is inside the disk, and the kernel's page cache kept true (P1).
//
// The cache is the kernel's, and it drops the pages under a write with O_DIRECT before it sends it.
// But who reads them through the cache while the write is under way gets what was there before,
// rightly, and the pages stay. After a write that the kernel itself waits for it drops them again;
// after one of libaio or io_uring, or of a loop device, it does not, and all who read through the
// cache would get old data from then on. So that is done from here:
//
//   1. A request that the kernel makes for its cache marks its regions before the disk is asked.
//   2. A write past the cache looks at the marks when the disk has done it. Where there is none it
//      is answered at once: a page that holds what was there before it had its mark by then.
//   3. Else it waits for a thread, which for each of its regions says that the region is being
//      dropped, takes the mark away, has the kernel drop the region's pages, and takes back what it
//      said. Then the write is answered. The kernel waits for pages that are being read, so
//      whatever was marked before the mark was taken away is gone by then, and what comes later
//      marks the region anew. Another write that finds it being dropped waits, too.
//
// Only a few writes may wait. The kernel locks pages before it has a place to ask for them from,
// and the places are limited: were all of them taken by writes that wait for those pages, nobody
// would ever go on. A write beyond that is answered at once, and the whole cache is dropped at
// once, by another thread, since that waits for all pages that are being read. Requests for the
// cache never wait here.
//
// The kernel's wait cannot be ended by a signal: death_watch.h is there for that.
//
// What goes past the cache the kernel tells by naming a lock owner (fs/fuse/file.c).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "core/disk.h"

namespace dmremap {

// Who asks owns it, and the memory, until it is answered, and fills in op, offset, length, data and
// durable, and what follows here.
struct ImageRequest : Request {
    bool past_cache = false;  // a read or write that the kernel's cache has no part in
    // Any thread. `length` is what was transferred, less than was asked for only where the disk
    // ends.
    void (*answer)(ImageRequest& request, int error) = nullptr;
    void* asker = nullptr;  // his own

    // From here on not the asker's.
    ImageRequest* next = nullptr;
    int error = 0;
};

class ImageAccess {
public:
    static constexpr std::uint64_t kRegion = std::uint64_t{256} << 10;  // bytes that share a mark
    static constexpr unsigned kMostWaiting = 4;  // fewer than any queue of the kernel's has places

    // Throws bad_alloc, or system_error where no thread is to be had.
    explicit ImageAccess(Disk& disk);
    ~ImageAccess();  // all must be answered
    ImageAccess(const ImageAccess&) = delete;
    ImageAccess& operator=(const ImageAccess&) = delete;

    // How the kernel is told to drop the pages of these bytes, of all where length is 0; returns
    // when they are gone. To be said before anybody can read through the cache.
    using Drop = std::function<void(std::uint64_t offset, std::uint64_t length)>;
    void drop_by(Drop drop) { drop_ = std::move(drop); }

    // Any thread; never waits. As on a block device: a read is whole up to the end of the disk, a
    // write that begins behind it is ENOSPC, and zeros there are none.
    void submit(ImageRequest& request);

private:
    enum Mark : std::uint8_t { kCached = 1, kBeingDropped = 2 };
    struct Free {
        void operator()(std::uint8_t* marks) const { std::free(marks); }
    };

    std::atomic_ref<std::uint8_t> mark(std::uint64_t region) const {
        return std::atomic_ref(marks_[region]);
    }
    void note_cached(const ImageRequest& request);
    bool marked(const ImageRequest& request) const;
    bool waits(ImageRequest& request);
    static void done(Request& request, int error);
    void serve();
    void sweep();
    void end();
    void drop_marked(const ImageRequest& request);

    Disk& disk_;
    const std::uint64_t size_;
    const std::unique_ptr<std::uint8_t[], Free> marks_;  // a region's each; memory as it is used
    Drop drop_;

    std::mutex mutex_;
    std::condition_variable changed_;
    ImageRequest* first_ = nullptr;  // of those that wait
    unsigned waiting_ = 0;
    bool everything_ = false;  // is to be dropped
    bool closing_ = false;
    std::thread server_, sweeper_;
};

}  // namespace dmremap
