// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/gates.h"

namespace dmremap {

bool Gates::park(unsigned gate, Piece& piece) {
    Gate& g = gates_[gate];
    const std::lock_guard lock(g.mutex);
    if ((g.word.load(std::memory_order_acquire) & kClosed) == 0) {
        return false;
    }
    piece.next = nullptr;
    (g.last != nullptr ? g.last->next : g.first) = &piece;
    g.last = &piece;
    return true;
}

void Gates::close(unsigned gate) { gates_[gate].word.fetch_or(kClosed, std::memory_order_acq_rel); }

Piece* Gates::open(unsigned gate) {
    Gate& g = gates_[gate];
    const std::lock_guard lock(g.mutex);
    g.word.fetch_and(~kClosed, std::memory_order_release);
    Piece* const parked = g.first;
    g.first = g.last = nullptr;
    return parked;
}

}  // namespace dmremap
