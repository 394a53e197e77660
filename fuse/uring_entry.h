// SPDX-License-Identifier: GPL-2.0-or-later
// The two buffers of an entry of FUSE over io_uring (uring_abi.h), and whose they are.
//
// A wrong word here is a wrong byte on a disk, so these are the rules, each kept in one place:
//
//   1. The buffers are the kernel's from enroll() or commit() until a command ends with 0. Nobody
//      reads or writes them then: the kernel may be copying the next request into them, or the
//      answer out of them.
//   2. A command that ends with anything but 0 has brought no request. The buffers may still hold
//      the last one: to take that for a new one would run an old write again.
//   3. What the answer needs of the request (its number, the name to commit it by) is taken out
//      of the buffers when it arrives, before the answer is put where it stood.
//   4. An answer writes the whole header and the number of bytes behind it, each time. A header
//      that is left alone says what the request said: its error would be the operation's code. A
//      number that is left alone is the request's, and the kernel would take so many bytes of the
//      buffer for the answer, whatever they are: another request's.
//   5. A request is answered once. Then the buffers are about to be the kernel's.
//
// So a buffer never holds the bytes of two requests: data is put there between fetched() and
// answer(), for the request that is there, and only as many bytes leave as that answer says.
//
// The payload begins on a page boundary, as direct I/O wants it, and is where the disk reads and
// writes: the way of the data has no copy but the kernel's. The headers are before it:
//
//   | UringHeaders ... free ... | in header | arguments || payload, 1 MiB
//                                                       page boundary
//
// No threads: whoever has the request has the entry. Pure memory; nothing here calls the system but
// for memory.
#pragma once

#include <linux/fuse.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "core/device/aligned_buffers.h"
#include "fuse/uring_abi.h"

struct io_uring_sqe;

namespace dmremap {

class UringEntry {
public:
    static constexpr std::size_t kPayload = 1u << 20;
    static constexpr std::size_t kTouched = 16 * 1024;  // bytes of the payload, ahead

    // Of this queue of the kernel's. Throws bad_alloc.
    explicit UringEntry(std::uint16_t queue);
    UringEntry(const UringEntry&) = delete;
    UringEntry& operator=(const UringEntry&) = delete;

    // Fills in an entry of the ring. The buffers are the kernel's from here. `descriptor` is one of
    // the mount's.
    void enroll(io_uring_sqe& command, int descriptor);
    void commit(io_uring_sqe& command, int descriptor);

    std::uint16_t queue() const { return queue_; }

    // A command ended. True: a request is here, and the buffers are ours until commit(). False: the
    // entry is out of use, and what the buffers hold is nothing.
    bool fetched(int result);

    // The request that is here. What the kernel says of lengths is checked: false, and no more than
    // answer() with an error is allowed.
    bool sound() const { return sound_; }
    const fuse_in_header& header() const { return header_; }
    const std::byte* arguments() const { return headers().arguments; }
    std::size_t arguments_length() const { return arguments_length_; }
    std::byte* payload() const { return memory_.get() + kHead; }
    std::size_t payload_length() const { return payload_length_; }

    // The whole request as one message, for who wants it as it comes by /dev/fuse.
    std::byte* message();
    std::size_t message_length() const {
        return sizeof(fuse_in_header) + arguments_length_ + payload_length_;
    }

    // Makes the answer: `length` bytes of payload(), or a positive errno and none.
    void answer(int error, std::size_t length);
    // The same from libfuse's pieces, of which the first is the header. What is too long is EIO.
    void answer_in_pieces(const iovec* pieces, int count);

private:
    static constexpr std::size_t kHead = 4096;

    UringHeaders& headers() const { return *reinterpret_cast<UringHeaders*>(memory_.get()); }
    void prepare(io_uring_sqe& command, int descriptor, UringCommandCode code,
                 std::uint64_t commit_id) const;

    const std::uint16_t queue_;
    const AlignedMemory memory_;
    iovec buffers_[2] = {};  // what enroll() points to
    fuse_in_header header_{};
    std::uint64_t commit_id_ = 0;
    std::size_t arguments_length_ = 0;
    std::size_t payload_length_ = 0;
    bool sound_ = false;
};

}  // namespace dmremap
