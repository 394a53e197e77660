// SPDX-License-Identifier: GPL-2.0-or-later
// Memory for direct I/O: buffers of one size, aligned to 4096 bytes, kept for the next use.
//
// Only callers whose own memory is not aligned come here. One buffer is allocated ahead, so that a
// caller who bounces one request at a time needs no memory from a system that has none left.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace dmremap {

struct FreeDeleter {
    void operator()(std::byte* memory) const;
};
using AlignedMemory = std::unique_ptr<std::byte, FreeDeleter>;

// Null when there is no memory.
AlignedMemory allocate_aligned(std::size_t size);

class AlignedBuffers {
public:
    static constexpr std::size_t kSize = 256 * 1024;
    static constexpr std::size_t kAlignment = 4096;

    AlignedBuffers();

    // A buffer of kSize bytes, given back when the lease ends; empty when there is no memory.
    class Lease {
    public:
        explicit Lease(AlignedBuffers& owner) : owner_(owner), memory_(owner.take()) {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() { owner_.give_back(std::move(memory_)); }
        std::byte* get() const { return memory_.get(); }

    private:
        AlignedBuffers& owner_;
        AlignedMemory memory_;
    };

private:
    AlignedMemory take();
    void give_back(AlignedMemory memory);

    std::mutex mutex_;
    std::vector<AlignedMemory> free_;
};

}  // namespace dmremap
