// SPDX-License-Identifier: GPL-2.0-or-later
// control/remaps: the remaps as they were when it was begun to be read, written as they are read. A
// million of them cost 40 bytes each while the file is open, and never their whole text. Anybody
// may open it, and the daemon's memory is locked: so only a few exist at once.
//
// A header that begins with '#', then "sector slot spare_sector reason time lost retry" for each
// remap in order of sectors. lost and retry are bit masks in hex: bit i is sector + i.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "core/disk.h"
#include "fuse/control_reading.h"

namespace dmremap {

class RemapListing final : public ControlReading {
public:
    static constexpr int kMostAtOnce = 8;

    // Throws system_error(EBUSY) when there are too many, bad_alloc.
    explicit RemapListing(const Disk& disk);
    std::string read(std::uint64_t offset, std::size_t size) override;

private:
    static constexpr std::size_t kLinesBetweenMarks = 512;

    // One of the few. First, so that it is given back even when the rest cannot be had.
    struct Place {
        Place();
        ~Place() { taken--; }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        static inline std::atomic<int> taken{0};
    };

    const Place place_;
    std::vector<RemapInfo> remaps_;
    std::mutex mutex_;
    std::vector<std::uint64_t> marks_;  // where line i * kLinesBetweenMarks begins, as far as known
};

}  // namespace dmremap
