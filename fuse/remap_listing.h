// SPDX-License-Identifier: GPL-2.0-or-later
// control/remaps: the remaps as they were when the file was opened, written as they are read. A
// million of them cost 40 bytes each while the file is open, and never their whole text.
//
// A header that begins with '#', then "sector slot spare_sector reason time lost retry" for each
// remap in order of sectors. lost and retry are bit masks in hex: bit i is sector + i.
#pragma once

#include <mutex>
#include <vector>

#include "core/disk.h"
#include "fuse/control_reading.h"

namespace dmremap {

class RemapListing final : public ControlReading {
public:
    explicit RemapListing(const Disk& disk);
    std::string read(std::uint64_t offset, std::size_t size) override;

private:
    static constexpr std::size_t kLinesBetweenMarks = 512;

    std::vector<RemapInfo> remaps_;
    std::mutex mutex_;
    std::vector<std::uint64_t> marks_;  // where line i * kLinesBetweenMarks begins, as far as known
};

}  // namespace dmremap
