// SPDX-License-Identifier: GPL-2.0-or-later
// A power cut: a point of the tape, and what becomes of each write that is open there.
//
// As text: @POINT.VARIANT:CHOICES, cuts of the tapes of later sessions behind it with slashes. The
// variant is for whoever opens the state (judge.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/crash/tape.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

// What is what on the spare: where slots are, and how large a stretch a power cut can garble.
struct Layout {
    explicit Layout(const Shape& shape) : shape(shape) {}
    void learn(const dmr_superblock& sb);  // of a formatted spare

    bool is_slot(std::uint64_t sector) const {
        return sector < slot_sectors.size() && slot_sectors[sector];
    }
    // Sectors that one accident garbles at most. Slots that share a larger physical block with
    // others are garbled alone: FORMAT.md, decisions.
    std::uint64_t garbled_at_once(Side side, std::uint64_t sector) const;
    std::string place(Side side, std::uint64_t sector) const;  // for reports

    Shape shape;
    std::vector<bool> slot_sectors;
    dmr_superblock sb{};
};

struct Choice {
    enum class How : char {
        kept = 'k',
        dropped = 'd',
        head = 'h',        // the first n sectors are new, the rest is old
        tail = 't',        // the first n sectors are old, the rest is new
        garbled = 'g',     // in the n'th physical block is nonsense, the rest is new
        zeroed = 'z',      // there are zeros
        unreadable = 'u',  // it can not be read
        shred = 's',       // each sector is old or new, by chance n, and one of them is nonsense
    };
    How how = How::kept;
    std::uint32_t n = 0;

    bool damaged() const { return how != How::kept && how != How::dropped; }
};
using Choices = std::vector<Choice>;

struct Cut {
    std::uint32_t point = 0;
    std::uint32_t variant = 0;
    Choices choices;

    std::string text() const;
};
std::vector<Cut> parse_cuts(const std::string& text);  // throws std::invalid_argument

// How many ways there are to damage a write, and the n'th of them.
std::uint32_t damages(const Mark& write, const Layout& layout);
Choice damage(const Mark& write, const Layout& layout, std::uint32_t n);

// What is at a sector of a write after a choice.
struct Outcome {
    enum class What : std::uint8_t { old, written, garbage, unreadable } what;
    Bytes garbage;
};
Outcome outcome(const Mark& write, const Layout& layout, const Choice& choice, std::size_t sector);

}  // namespace dmremap::test
