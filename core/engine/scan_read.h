// SPDX-License-Identifier: GPL-2.0-or-later
// One read of a scan: a stretch of main within one region, behind the region's gate like any other
// read. What lives in slots is read there; main under a remap is not touched.
//
// The bytes are thrown away: only errors and times count. So it does no harm that a writer may be
// changing them meanwhile, as readers of one sector and writers of it may be on any disk.
//
// Blocking. A thread of the scanner, which makes a device's system calls itself where the device
// lets it, so that its idle I/O class applies to them; see IdleCaller.
#pragma once

#include <bitset>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "core/device/io_loop.h"
#include "core/engine/context.h"

namespace dmremap {

// A read that the device leaves to this thread waits here until the device's submit() has returned.
class IdleCaller final : public IoLoop {
public:
    IdleCaller();  // puts the thread into the idle I/O class, where there is such a thing
    ~IdleCaller() override;

    bool start(Io& io, int fd) override;
    int read(Device& device, std::uint64_t offset, std::byte* data, std::uint64_t length);

private:
    Io* given_ = nullptr;
    int fd_ = -1;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool done_ = false;
};

constexpr std::uint64_t kRegionBlocks = kRegionSize / DMR_BLOCK_SIZE;
using RegionBlocks = std::bitset<kRegionBlocks>;

struct ScanRead {
    std::uint64_t offset = 0, length = 0;  // bytes; whole blocks, or up to main's end; one region
    std::byte* buffer = nullptr;           // of `length`, aligned to 4096

    // The answer.
    int error = 0;                 // of main: the first one
    RegionBlocks check;            // that the healer should look at: a slot that could not be read,
                                   // or retry sectors; counted from the region's first block
    std::uint64_t main_bytes = 0;  // of it that live on main
    std::uint64_t first_on_main = 0;  // the first block of these, if there are any
    std::uint64_t ns = 0;             // that main took

    std::uint64_t first_block() const { return offset / DMR_BLOCK_SIZE; }
    std::uint64_t end_block() const {
        return (offset + length + DMR_BLOCK_SIZE - 1) / DMR_BLOCK_SIZE;
    }
};

// Waits until the gate is open; nobody keeps one closed but the healer, who must still run.
void scan_read(Context& disk, IdleCaller& caller, ScanRead& read);

}  // namespace dmremap
