// SPDX-License-Identifier: GPL-2.0-or-later
// The content of a device, cheap to copy: a ground of bytes that copies share, and the sectors that
// differ from it.
//
// A sector is bytes and whether they can be read: a power cut leaves sectors that no drive can read
// any more until they are written, and a copy that is out of reach for a while still holds its
// bytes.
//
// One thread at a time, but for readers of one ground.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/support/medium.h"

namespace dmremap::test {

using Bytes = std::array<std::byte, kSector>;

struct Cell {
    Bytes bytes;
    bool unreadable = false;
};

class Volume {
public:
    explicit Volume(std::uint64_t bytes);  // zeros
    Volume(const Volume& other) = default;
    Volume& operator=(const Volume& other);  // keeps memory: costs what differs
    ~Volume() = default;

    std::uint64_t sectors() const { return index_.size(); }
    const std::byte* bytes(std::uint64_t sector) const {
        const std::uint32_t at = index_[sector];
        return at != 0 ? cells_[at - 1].cell.bytes.data()
                       : ground_->bytes.data() + sector * kSector;
    }
    bool unreadable(std::uint64_t sector) const {
        const std::uint32_t at = index_[sector];
        return at != 0 ? cells_[at - 1].cell.unreadable : ground_->unreadable[sector];
    }

    void put(std::uint64_t sector, const Cell& cell);
    void put(std::uint64_t sector, const std::byte* bytes);  // readable
    void set_unreadable(std::uint64_t sector, bool unreadable);

    // A twin with a ground of its own that holds everything.
    Volume own() const;
    // Makes what differs part of the ground. Copies that share the ground change with it: only for
    // one who made it with own() and has lent no copy that is still in use.
    void fold();

private:
    struct Ground {
        std::vector<std::byte> bytes;
        std::vector<bool> unreadable;
    };
    struct Changed {
        std::uint64_t sector;
        Cell cell;
    };
    Cell& cell(std::uint64_t sector);

    std::shared_ptr<Ground> ground_;
    std::vector<std::uint32_t> index_;  // sector -> 1 + place in cells_, 0: in the ground
    std::vector<Changed> cells_;
};

}  // namespace dmremap::test
