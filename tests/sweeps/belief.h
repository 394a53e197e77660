// SPDX-License-Identifier: GPL-2.0-or-later
// What the user of a disk may believe about each sector, from what he asked and was told.
//
//   now      what a read may give: what was last written with success, or, where a write failed or
//            a discard was done, that or the new bytes; a read settles which
//   durable  what may be found after a power cut: what `now` was at the last flush that succeeded,
//            and all that was written since, told or not
//   lost     nobody may be able to read it: main can not, and no write to it has succeeded
// One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/medium.h"

namespace dmremap::test {

class Belief {
public:
    // Main holds pattern(sector, 1, 1) everywhere.
    explicit Belief(std::uint64_t sectors) : sectors_(sectors) {}

    std::uint64_t sectors() const { return sectors_; }
    void unreadable_on_main(std::uint64_t sector, std::uint64_t count);
    bool may_be_lost(std::uint64_t sector) const { return lost_.contains(sector); }

    // Bytes [offset, offset + data.size()) were written, or may have been.
    void written(std::uint64_t offset, const std::vector<std::byte>& data, bool told_success);
    // Whole sectors may read as zeros.
    void discarded(std::uint64_t sector, std::uint64_t count);
    void flushed();
    // "" or what is wrong with these bytes; they are believed from now on.
    std::string read(std::uint64_t sector, const std::vector<std::byte>& data);
    // After a power cut.
    void power_cut();

    // Sectors that were ever written or are special otherwise.
    std::set<std::uint64_t> touched() const;

private:
    using Bytes = std::array<std::byte, kSector>;
    struct Sector {
        std::vector<Bytes> now, durable;
    };
    Sector& at(std::uint64_t sector);
    static void add(std::vector<Bytes>& list, const Bytes& bytes);

    const std::uint64_t sectors_;
    std::map<std::uint64_t, Sector> known_;  // of the rest: pattern
    std::set<std::uint64_t> lost_;
};

}  // namespace dmremap::test
