// SPDX-License-Identifier: GPL-2.0-or-later
// What the oracle writes, and the notes that it takes while the host records what reaches the
// disks.
//
// A sector's content tells which sector it is, and which version of it. A note is a sector on a
// disk of its own: that a write or a flush is about to be asked for, or that it was acknowledged.
// It is written and waited for before the oracle goes on, so on the host's tape, where all disks
// are in one order, whatever is behind a note happened after it was taken. Shared by guest and
// host.
#pragma once

#include <array>
#include <cstdint>

constexpr std::uint64_t kSector = 512;  // bytes

using Words = std::array<std::uint64_t, kSector / sizeof(std::uint64_t)>;

inline Words content(std::uint64_t sector, std::uint32_t version) {
    Words bytes{};
    std::uint64_t word = sector << 32 | version;
    for (std::uint64_t& place : bytes) {
        place = word;
        word = (word ^ (word >> 29)) * 0xbf58476d1ce4e5b9ull + 1;
    }
    return bytes;
}

struct Note {
    enum class Kind : std::uint32_t { write_asked = 1, write_done, flush_asked, flush_done };
    static constexpr std::uint64_t kMagic = 0x65746f6e2d726d64;  // "dmr-note"

    std::uint64_t magic = kMagic;
    std::uint64_t first = 0, count = 0;  // sectors of a write
    Kind kind = Kind::write_asked;
    std::uint32_t version = 0;  // of a write
    std::uint64_t flush = 0;    // which flush
    std::array<std::uint64_t, 59> rest{};
};
static_assert(sizeof(Note) == kSector);
