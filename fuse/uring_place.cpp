// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/uring_place.h"

namespace dmremap {

void UringPlace::settle(std::uint16_t queue, bool alone) {
    if (bound_) {
        ::sched_setaffinity(0, sizeof(allowed_), &allowed_);
        bound_ = false;
    } else if (alone && queue == queue_) {
        bound_ = bind(queue);
    }
    queue_ = queue;
    in_a_row_ = 0;
}

// Where there are more processors than the set has room for nothing is bound.
bool UringPlace::bind(std::uint16_t queue) {
    if (::sched_getaffinity(0, sizeof(allowed_), &allowed_) != 0) return false;
    if (queue >= CPU_SETSIZE || !CPU_ISSET(queue, &allowed_)) return false;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(queue, &one);
    return ::sched_setaffinity(0, sizeof(one), &one) == 0;
}

}  // namespace dmremap
