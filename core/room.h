// SPDX-License-Identifier: GPL-2.0-or-later
// Room in a vector, had ahead, so that what must not fail later does not ask for memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace dmremap {

// Room for so many more elements; throws bad_alloc, and then nothing has changed. Unlike reserve()
// it grows as push_back() does: many calls do not cost a copy each.
template <typename T>
void make_room(std::vector<T>& vector, std::size_t more) {
    if (vector.capacity() - vector.size() < more) {
        vector.reserve(std::max(vector.size() + more, vector.capacity() * 2));
    }
}

}  // namespace dmremap
