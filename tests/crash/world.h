// SPDX-License-Identifier: GPL-2.0-or-later
// What a recorded life happens in: the machine, its user, the chance that rules it, and where the
// blocks are that it plays with.
#pragma once

#include <functional>
#include <random>
#include <vector>

#include "tests/crash/start.h"
#include "tests/crash/user.h"

namespace dmremap::test {

class World {
public:
    World(const Profile& profile, const Start& start, Values& values, std::mt19937_64& rng);

    std::uint64_t below(std::uint64_t limit) { return rng_() % limit; }

    std::uint64_t any_block() { return blocks_[below(blocks_.size())]; }
    bool in_area(std::uint64_t block) const;
    std::uint64_t sectors() const { return sectors_; }  // of the disk
    std::uint64_t sectors_of(std::uint64_t block) const {
        return std::min<std::uint64_t>(DMR_SECTORS_PER_BLOCK,
                                       sectors_ - block * DMR_SECTORS_PER_BLOCK);
    }
    std::uint64_t length_of(std::uint64_t block) const { return sectors_of(block) * kSector; }
    // First sector of some logical block of a block, counted from the block's first.
    std::uint64_t any_unit(std::uint64_t block) { return below(sectors_of(block)) / unit * unit; }
    // Null when none fits.
    const RemapInfo* any_remap(const std::function<bool(const RemapInfo&)>& fits);

    bool has_faults(Side side, std::uint64_t first, std::uint64_t count) const;
    void takes_no_writes(Side side, std::uint64_t first, std::uint64_t count, bool on);
    void readable(Side side, std::uint64_t first, std::uint64_t count, bool on);
    void may_fail(std::uint64_t first, std::uint64_t count);

    const Start& start;
    Machine machine;
    User user;
    const std::uint64_t unit;  // sectors of main's logical block
    std::vector<std::uint64_t> blocks() const { return blocks_; }

private:
    std::mt19937_64& rng_;
    const std::uint64_t sectors_;
    std::vector<std::uint64_t> blocks_;  // the area but for the reserves, ascending
};

}  // namespace dmremap::test
