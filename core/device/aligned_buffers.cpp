// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/aligned_buffers.h"

#include <cstdlib>

namespace dmremap {

namespace {
constexpr std::size_t kKept = 16;
}

void FreeDeleter::operator()(std::byte* memory) const { std::free(memory); }

AlignedMemory allocate_aligned(std::size_t size) {
    return AlignedMemory(
        static_cast<std::byte*>(std::aligned_alloc(AlignedBuffers::kAlignment, size)));
}

AlignedBuffers::AlignedBuffers() {
    free_.reserve(kKept);
    give_back(allocate_aligned(kSize));
}

AlignedMemory AlignedBuffers::take() {
    {
        const std::lock_guard lock(mutex_);
        if (!free_.empty()) {
            AlignedMemory memory = std::move(free_.back());
            free_.pop_back();
            return memory;
        }
    }
    return allocate_aligned(kSize);
}

void AlignedBuffers::give_back(AlignedMemory memory) {
    const std::lock_guard lock(mutex_);
    if (memory && free_.size() < kKept) free_.push_back(std::move(memory));
}

}  // namespace dmremap
