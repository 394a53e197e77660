// SPDX-License-Identifier: GPL-2.0-or-later
// The fenced blocks, for people who ask where a block is. Requests find them in the mapping, behind
// their gate; who asks has no gate and must not wait for one. A block that was fenced stays so
// until the disk is reopened: the list only grows, and by no more than is under way at once, for
// the first fence makes the disk read-only.
//
// Any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/room.h"

namespace dmremap {

class Fences {
public:
    // Throws bad_alloc. So many add() then need no memory.
    void make_room(std::size_t more) {
        const std::lock_guard lock(mutex_);
        dmremap::make_room(blocks_, more);
    }
    void add(std::uint64_t block) {
        const std::lock_guard lock(mutex_);
        blocks_.push_back(block);
    }
    bool contain(std::uint64_t block) const {
        const std::lock_guard lock(mutex_);
        return std::ranges::find(blocks_, block) != blocks_.end();
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::uint64_t> blocks_;
};

}  // namespace dmremap
