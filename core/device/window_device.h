// SPDX-License-Identifier: GPL-2.0-or-later
// A range of another device as a device of its own, for reading: a partition that the kernel does
// not present. Anything but a read is EROFS.
#pragma once

#include "core/device/device.h"

namespace dmremap {

class WindowDevice final : public Device {
public:
    // [begin, begin + size) bytes of `whole`, which must outlive this and contain it; multiples of
    // its logical block.
    WindowDevice(Device& whole, std::uint64_t begin, std::uint64_t size);

    const DeviceInfo& info() const override { return info_; }

    // Reads blocking.
    void submit(Io& io) override;

private:
    Device& whole_;
    std::uint64_t begin_;
    DeviceInfo info_;
};

}  // namespace dmremap
