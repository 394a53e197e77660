// SPDX-License-Identifier: GPL-2.0-or-later
// A read or write of the disk between the kernel and the core, in one piece of memory from the
// message that asks for it to the one that answers, so that nothing is copied and nothing
// allocated:
//
//            page boundary - headers            page boundary
//   ... | in header | write header ............ | data, up to 1 MiB
//   ...                      ... out header     | data, up to 1 MiB
//
// A message is received so that the data of a write begins on the boundary, as direct I/O wants it;
// the data of a read is put there, and its answer's header right before it. The messages are those
// of <linux/fuse.h>.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "fuse/image_access.h"

namespace dmremap {

class DataSlots;

struct DataSlot {
    static constexpr std::size_t kHead = 4096;  // bytes before the data

    ImageRequest request;
    std::byte* memory = nullptr;
    int channel = -1;          // the descriptor it came by; the answer must go by the same
    std::uint64_t unique = 0;  // the kernel's name for it
    std::size_t reply_length = 0;
    DataSlots* owner = nullptr;

    std::byte* data() const { return memory + kHead; }
    std::byte* message() const;
    std::byte* reply() const;

    // Puts the header before what data() holds: `length` bytes, or an errno and none.
    void make_reply(int error, std::size_t length);
};

// All slots of a mount. Any thread.
class DataSlots {
public:
    // Makes the first ones and touches their memory: the daemon may be asked for memory's sake.
    // Throws bad_alloc.
    DataSlots();
    ~DataSlots();  // all must be back
    DataSlots(const DataSlots&) = delete;
    DataSlots& operator=(const DataSlots&) = delete;

    DataSlot* take();  // null when there is no memory
    void give_back(DataSlot* slot);

    // What became of a slot's answer: bytes written, or a negative errno. The first one that did
    // not arrive is logged, for whoever asked waits for it until the mount is cut off. ENOENT is
    // none: the kernel no longer wants the answer to a request that was interrupted, or cut off.
    void answered(const DataSlot& slot, std::int64_t written);
    std::uint64_t undelivered() const { return undelivered_.load(std::memory_order_relaxed); }

    // Returns when every slot that was taken has come back. Nobody may take one meanwhile.
    void wait_for_all();

    static std::size_t message_capacity();  // of a slot, from message() on

private:
    DataSlot* make();
    static void destroy(DataSlot* slot);

    std::mutex mutex_;
    std::vector<DataSlot*> free_;
    std::size_t made_ = 0;
    std::atomic<std::uint64_t> undelivered_{0};
};

}  // namespace dmremap
