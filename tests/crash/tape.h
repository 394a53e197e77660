// SPDX-License-Identifier: GPL-2.0-or-later
// The tape: all that happened to main and spare, and what their user asked and was told, in one
// order.
//
// A write is on it twice, as it begins and as it ends, and so is a flush, for only what has ended
// before a flush begins is durable when the flush ends. What is between is what a power cut plays
// with. The user's marks lie on the same tape, so that at each of its points it is known what was
// acknowledged by then.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/crash/volume.h"

namespace dmremap::test {

enum class Side : std::uint8_t { main, spare };

constexpr std::uint32_t kNoHome = ~0u;

struct Mark {
    enum class Kind : std::uint8_t {
        write_begun,  // cells, from `first` on: what is on the medium if it is kept; `error` if
                      // the device will say that it failed
        write_ended,  // of `id`
        given_up,     // the write or flush `id` was not done, and never will be
        flush_begun,
        flush_ended,  // of `id`
        // Behind the disk's back, and durable at once.
        rotted,    // cells, from `first` on, are what is there now
        readable,  // [first, first + count) can be read from now on, or not (`on`)
        takes_no,  // [first, first + count) takes no writes from now on, or does again (`on`)
        // The user's, in sectors of the disk.
        asked,     // [first, first + count) may hold the values from `value` on; `on`: shall
        answered,  // to that: `error`
        flushed,   // a flush asked for at place `since` was acknowledged
        may_fail,  // EIO is right for [first, first + count) until they are written anew
        regained,  // and from now on it is not
        settled,   // [first, first + count) was read from a disk that had just been opened: `value`
    };
    Kind kind;
    Side side = Side::main;
    bool on = true;
    int error = 0;
    std::uint32_t id = 0;  // place on the tape of what began
    std::uint32_t since = 0;
    std::uint32_t value = 0;
    std::uint64_t first = 0, count = 0;
    std::vector<Cell> cells{};
    std::vector<std::uint32_t>
        homes{};  // of the cells: the disk's sector that lives there, kNoHome
};

struct Tape {
    struct Note {
        std::uint32_t at;
        std::string text;
    };
    std::vector<Mark> events;
    std::vector<Note> notes;  // what the user is about to do, for people

    std::uint32_t place() const { return static_cast<std::uint32_t>(events.size()); }
    void clear() {
        events.clear();
        notes.clear();
    }
    // The same for two recordings of the same calls, whatever times and process numbers are in
    // them.
    std::uint64_t signature() const {
        std::uint64_t sum = 0xcbf29ce484222325;
        for (const Mark& e : events)
            for (const std::uint64_t part : {std::uint64_t{static_cast<unsigned>(e.kind)},
                                             std::uint64_t{static_cast<unsigned>(e.side)}, e.first,
                                             e.count, std::uint64_t{e.id}})
                sum = (sum ^ part) * 0x100000001b3;
        return sum;
    }
};

}  // namespace dmremap::test
