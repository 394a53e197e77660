// SPDX-License-Identifier: GPL-2.0-or-later
// One of a few threads that serve a mount by FUSE over io_uring (uring_entry.h has its rules). Its
// ring holds the commands that wait for requests, and the calls to the disk's devices; so one
// system call hands in answers, starts calls, and fetches requests and results, where /dev/fuse
// takes one call to read a request and one to write its answer.
//
// Reads and writes of the disk go from the kernel's buffer to the device and back, and flushes
// beside them. All else goes to libfuse on another thread, as with ring_loop.h.
//
// The kernel takes an answer only from the ring's own thread. Whoever has one on another thread
// hands the entry over: a list, and an eventfd that the ring reads. An entry is handed over when
// its last holder lets it go, so that nobody reads a message while the next one is put there.
//
// Where a loop runs is the matter of uring_place.h.
//
// The kernel's end is told by other means (ring_loop.h waits for it): an entry whose command failed
// is out of use, and no sign that others are. Entries whose answer comes after the end are dropped.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/device/unique_fd.h"
#include "fuse/call_ring.h"
#include "fuse/image_access.h"
#include "fuse/reply_channel.h"
#include "fuse/uring_entry.h"
#include "fuse/uring_place.h"
#include "fuse/uring_shares.h"

namespace dmremap {

class Filesystem;
class UringLoop;

// All loops of a mount, and what they share.
struct UringLoops {
    UringLoops(std::size_t queues, std::size_t loops) : crowd(queues), shares(queues, loops) {}

    UringCrowd crowd;
    UringShares shares;
    std::vector<std::unique_ptr<UringLoop>> all;  // by number; as it is, once threads run
};

// An entry with the loop it belongs to, and the request that is under way in it.
struct alignas(64) UringRequest final : ReplyTaker {
    UringRequest(UringLoop& owner, std::uint16_t queue) : entry(queue), loop(&owner) {}

    void take(const iovec* pieces, int count) override;  // libfuse's answer

    UringEntry entry;
    ImageRequest request;
    UringLoop* loop;               // changes only where the answer is there and nobody holds it
    UringRequest* next = nullptr;  // of those that were handed over
    std::atomic<int> holders{0};   // who still needs the buffers: who answers, who reads
    bool of_the_disk = false;      // its data is under way there
    bool counted = false;          // in the crowd of its queue
    bool enrolled = false;         // the kernel has put requests there: commands are commits
};

// Not a thread yet: run() makes the calling one the loop's.
class UringLoop final : public CallRing {
public:
    // `elsewhere(request)` takes over a message that is no read or write of the disk, and must
    // lead to release() twice: by the answer, and by whoever needs the message no longer. It must
    // not block. `descriptor` is one of the mount's. Throws Refusal(system).
    using Elsewhere = std::function<void(UringRequest&)>;
    UringLoop(Filesystem& filesystem, int descriptor, UringLoops& loops, std::size_t number,
              Elsewhere elsewhere);

    // Before run(): an entry for a queue of the kernel's. Throws bad_alloc.
    void add_entry(std::uint16_t queue);
    std::size_t entries() const { return requests_.size(); }

    // Takes the ring for this thread alone. 0 or a positive errno.
    int prepare() { return take_over(); }
    // After prepare(), once the kernel and libfuse have agreed: enrolls the next entry, if there is
    // one.
    void enroll_one();
    // Then: until end(), and until all calls that were started here have ended.
    void run();

    // Any thread: the kernel has let the mount go, or never had these entries.
    void end();

    // Any thread: one of the holders of a request that has its answer.
    void release(UringRequest& request);

private:
    bool wait_for_a_wake();
    void settle(Kind kind, void* subject, int result) override;
    void failed(UringRequest& request, int result);
    void handle(UringRequest& request);
    void begin(UringRequest& request);
    static void answered(ImageRequest& request, int error);
    bool send(UringRequest& request);
    void hand_over(UringRequest& request);
    bool send_handed_over();

    static thread_local UringLoop* mine_;

    Filesystem& filesystem_;
    const int descriptor_;
    UringLoops& loops_;
    const std::size_t number_;
    UringPlace place_;
    const Elsewhere elsewhere_;
    const UniqueFd wake_;
    std::uint64_t wakes_ = 0;  // what the ring reads from it
    bool waits_for_a_wake_ = false;
    std::vector<std::unique_ptr<UringRequest>> requests_;
    std::size_t enrolled_ = 0;  // of requests_
    std::size_t at_the_disk_ = 0;

    std::mutex mutex_;
    UringRequest* handed_over_ = nullptr;
    bool ended_ = false;   // told
    bool closed_ = false;  // run() has returned
};

}  // namespace dmremap
