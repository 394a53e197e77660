// SPDX-License-Identifier: GPL-2.0-or-later
// Could one sector of a disk have given these answers? Every read happens at one instant between
// its start and its end and returns what was written last; a write happens at one or more instants
// between its start and its end. More than one, because a write that failed is tried again while
// others are served (core/disk.h), as on any disk: who writes over a write in flight has no claim
// on the order of the two. After its end a write never happens again.
//
// All writes must bear different values. Then the test is exact and takes n log n. It is the one of
// P. B. Gibbons and E. Korach, "Testing Shared Memories", SIAM J. Comput. 26 (1997), for a register
// whose reads are mapped to their writes, with the difference that a value may come back while its
// write lasts:
//   * A value that was read by a read that started after its write had ended was there all the
//     time from the write's end to the latest start of such a read: its zone.
//   * Zones of two values may not overlap.
//   * No write that succeeded may lie inside another value's zone.
//   * A read that started before its value's write ended happened between the later of the starts
//     and the earlier of the ends; that may not lie inside another value's zone, nor be empty.
//
// Times are of any clock that gives no number twice. Not thread safe.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace dmremap::test {

class RegisterHistory {
public:
    using Time = std::uint64_t;
    static constexpr Time kNever = std::numeric_limits<Time>::max();

    // The register holds this value before time 1.
    explicit RegisterHistory(std::uint64_t initial) { wrote(initial, 0, 0); }

    // A write that failed ends never: it may happen at any time after its start, or not at all.
    void wrote(std::uint64_t value, Time start, Time end);
    void read(std::uint64_t value, Time start, Time end);

    // "" or why no order explains the answers.
    std::string problem() const;

private:
    struct Span {
        Time from, to;
        std::uint64_t value;
    };
    static std::string text(const Span& span);

    std::map<std::uint64_t, Span> writes_;  // by value
    std::vector<Span> reads_;
};

}  // namespace dmremap::test
