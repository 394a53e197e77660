// SPDX-License-Identifier: GPL-2.0-or-later
// What every sector of an opened pair must read as, computed from the bytes of both devices before
// they were opened (SpareTruth) and the writes since. Nothing of the code under test is asked.
//
// One thread; the disk may do its own work meanwhile.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/disk.h"
#include "tests/fuzz/base_pair.h"
#include "tests/fuzz/spare_truth.h"

namespace dmremap::fuzz {

class SpareModel {
public:
    // `retries`: retry sectors may come back from main. The pair is as it was before opening.
    SpareModel(const BasePair& pair, const SpareTruth& truth, bool retries);

    // A request to `disk`, its answer judged, and remembered.
    void read(Disk& disk, std::uint64_t offset, std::uint64_t length);
    void write(Disk& disk, std::uint64_t offset, std::uint64_t length, std::uint8_t fill);
    void zero(Disk& disk, std::uint64_t offset, std::uint64_t length);

    // Every remapped or written block, up to a bound, with some others beside them.
    void read_all(Disk& disk);

    // The list of remaps is the truth's.
    void check_remaps(const Disk& disk) const;

private:
    using Bytes = std::array<std::byte, 512>;
    struct Sector {
        std::vector<Bytes> values;  // any of these; none: nothing but EIO is right
        bool may_fail = false;
    };

    Sector& sector(std::uint64_t number);
    bool may_fail(std::uint64_t first, std::uint64_t end);
    void written(Disk& disk, int error, std::uint64_t offset, const std::vector<std::byte>& data);

    const std::shared_ptr<SparseImage> main_, spare_;  // copies, as before opening
    const SpareTruth truth_;
    const bool retries_;
    std::map<std::uint64_t, Sector> sectors_;  // those looked at so far
    bool fenced_ = false;                      // the disk became read_only: blocks may be fenced
};

}  // namespace dmremap::fuzz
