// SPDX-License-Identifier: GPL-2.0-or-later
// The breaker (P6): tells a dying cable from bad blocks, so that the one does not eat the spare.
//
// It trips, and no block is relocated any more, when
//   * main is gone (ENODEV and the like), or
//   * none of a few blocks known to be good can be read, asked before each relocation, nor any of
//     some others spread over main, or
//   * `breaker_regions` different regions failed in the same direction (read or write) without one
//     successful call of that direction to main in between: bad spots are spread among good ones,
//     a dead head or a dropped link is not.
// Only errors of the medium count, and a device that is gone. A probe that fails for want of
// resources (error_class.h) is made again after pauses; one that still gets no answer trips
// nothing, makes no block less good, and resets nothing. Errors are then passed on as they are. It
// resets when some call to main has succeeded since, where a direction tripped it one of that
// direction, and a known good block can be read.
//
// One thread (the healer's).
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/engine/counters.h"
#include "core/engine/remap_map.h"
#include "core/engine/state_board.h"

namespace dmremap {

class Breaker {
public:
    Breaker(Device& main, const RemapMap& map, Counters& counters, StateBoard& board,
            std::uint32_t regions);

    // Reads some blocks that no remap covers until a few good ones are known; before I/O begins.
    void learn();

    // A block at `offset` failed with a medium error under the healer's eyes. May it be relocated?
    // Throws bad_alloc, and then nothing has changed. Nothing else here throws.
    bool allows(Op op, std::uint64_t offset);

    void device_gone(int error);

    void set_regions(std::uint32_t regions) { regions_ = regions; }

    // Looks whether main has come back; cheap while nothing succeeds. Called before allows() says
    // no and at quiet moments.
    void try_reset();
    bool tripped() const { return tripped_; }

private:
    static constexpr std::size_t kKnownGood = 4;

    struct Direction {
        std::set<std::uint64_t> failed_regions;
        std::uint64_t successes = 0;  // main's, when the set was begun
        bool tripped = false;
    };

    enum class Answer : std::uint8_t { good, bad, gone, none };  // none: for want of resources

    std::uint64_t successes() const;
    Answer ask(std::uint64_t offset);
    Answer look_for_good();
    Answer probe();
    template <typename... Why>
    void trip(const Why&... why);

    Device& main_;
    const RemapMap& map_;
    Counters& counters_;
    StateBoard& board_;
    std::uint32_t regions_;
    std::vector<std::uint64_t> known_good_;  // byte offsets
    std::array<Direction, 2> directions_;    // read, write
    bool knew_some_ = false;                 // some block was once known to be good
    bool tripped_ = false;
    std::uint64_t successes_ = 0;  // main's, when it tripped or was last found still failing
};

}  // namespace dmremap
