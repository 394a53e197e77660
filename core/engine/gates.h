// SPDX-License-Identifier: GPL-2.0-or-later
// The gates: what keeps a change of the mapping and the I/O it concerns apart.
//
// Every I/O to a region enters the region's gate before it looks at filter and mapping, and leaves
// it when it is done. Whoever changes a mapping, or reads and writes a block that must not change
// in between, closes the gate, waits until those inside have left, works, and opens it again.
//
// Why that is enough: what an I/O learnt from filter and mapping stays true while it is inside, and
// whoever works behind a closed gate is alone with the region and looks everything up himself. So
// no salvage can overtake a write, and no write can slip onto main behind a fresh remap.
//
// Why nobody waits for ever: an I/O enters by trying; if the gate is closed it is parked and
// started again by open(), holding nothing meanwhile. Inside a gate nobody waits but for his own
// device I/O. The closer is told of the last one's leaving, so that it can wait for many gates at
// once and work behind the first that is free.
//
// A gate is one word, the number of those inside plus kClosed; regions share a fixed array of them
// by hash. Each gate also guards the remaps of its regions: see remap_map.h.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "core/engine/piece.h"

namespace dmremap {

constexpr unsigned kRegionShift = 20;  // a region is 1 MiB
constexpr std::uint64_t kRegionSize = std::uint64_t{1} << kRegionShift;
constexpr unsigned kGates = 1024;

inline unsigned gate_of(std::uint64_t offset) {
    // Fibonacci hashing: neighbours fall apart, and so do regions a power of two apart.
    return static_cast<unsigned>(((offset >> kRegionShift) * 0x9E3779B97F4A7C15ull) >> 54);
}
static_assert(kGates == 1u << (64 - 54));

class Gates {
public:
    // `drained` is called, on any thread, when the last one inside a closed gate leaves.
    explicit Gates(std::function<void()> drained) : gates_(kGates), drained_(std::move(drained)) {}

    // The way of an I/O. False: closed, and nothing was entered; park() then.
    bool enter(unsigned gate) {
        Gate& g = gates_[gate];
        if ((g.word.fetch_add(1, std::memory_order_acquire) & kClosed) == 0) {
            return true;
        }
        leave(gate);
        return false;
    }
    void leave(unsigned gate) {
        if (gates_[gate].word.fetch_sub(1, std::memory_order_acq_rel) == (kClosed | 1)) {
            drained_();
        }
    }

    // Puts the piece aside until the gate opens. False: it is open by now, try again.
    bool park(unsigned gate, Piece& piece);

    // The way of the closer; one at a time (the healer's thread).
    void close(unsigned gate);
    bool empty(unsigned gate) const {
        return gates_[gate].word.load(std::memory_order_acquire) == kClosed;
    }
    // Opens and returns the parked pieces, linked by `next`, in order of arrival.
    Piece* open(unsigned gate);

private:
    static constexpr std::uint32_t kClosed = 1u << 31;

    struct alignas(64) Gate {
        std::atomic<std::uint32_t> word{0};
        std::mutex mutex;  // the parking place; taken only when the gate is closed
        Piece* first = nullptr;
        Piece* last = nullptr;
    };

    std::vector<Gate> gates_;
    std::function<void()> drained_;
};

}  // namespace dmremap
