// SPDX-License-Identifier: GPL-2.0-or-later
// Goes along a tape and cuts the power at each of its points.
//
// A write is open from its beginning until a flush of its device that began after the write had
// ended has itself ended. At a point the power cut decides for each open write, of both devices,
// what becomes of it (cut.h); everything older is there, nothing younger is.
//
// Which points. Between two points where a write begins, what can be left only becomes less (a
// flush ends) and what is allowed only more (something is asked for); so new states come with a
// write that begins, and all of them are had by letting that one reach the medium, whole or
// damaged: without it the state was had before, and was judged more strictly. Besides, points where
// less is allowed than before (a flush is acknowledged, lost sectors came back), and the end of the
// tape; there all combinations are new.
//
// Which choices. Of n open writes, up to eight: each of the 2^n sets kept and the others dropped,
// each also with the youngest damaged in two ways; every damage of the youngest with the others all
// kept and all dropped; and with up to five, each of the 3^n of kept, dropped and damaged (a seeded
// way of it). Above eight, and where 3^n is too many, a seeded sample of the same.
#pragma once

#include <functional>
#include <vector>

#include "tests/crash/cut.h"
#include "tests/crash/machine.h"

namespace dmremap::test {

class Cutter {
public:
    // All of these outlive it. It makes the ground of `start` its own only when told to.
    Cutter(const CrashState& start, const Tape& tape, const Layout& layout, Values& values,
           bool own_ground);

    // Goes on to the next point; false behind the last.
    bool next();
    std::uint32_t point() const { return point_; }
    const std::vector<const Mark*>& open() const { return open_events_; }

    // Calls for each choice of this point in turn until told to stop by false.
    using Each = std::function<bool(const Choices&)>;
    void each(std::uint64_t seed, const Each& each) const;

    // What is left. Returns a number that differs for states of this point that differ.
    std::uint64_t build(const Choices& choices, CrashState& state) const;

    // Before anything open reached the medium.
    const CrashState& durable() const { return now_; }

    std::string describe(const Choices& choices) const;  // for reports

private:
    struct Open {
        std::uint32_t began;
        std::uint32_t ended;  // kNever while it is under way
    };
    static constexpr std::uint32_t kNever = ~0u;

    bool step(const Mark& event, std::uint32_t place);
    void begin_write(const Mark& event, std::uint32_t place);
    void apply_flush(const Mark& event);
    void refresh();

    const Tape& tape_;
    const Layout& layout_;
    Values& values_;
    const bool own_ground_;
    CrashState now_;
    std::uint32_t at_ = 0;
    std::uint32_t point_ = 0;
    bool past_end_ = false;
    std::vector<Open> open_;
    std::vector<const Mark*> open_events_;
    int youngest_ = -1;  // in open_: the write that makes this a point
};

}  // namespace dmremap::test
