// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/spares_inside.h"

#include "core/device/window_device.h"
#include "core/meta/superblock_store.h"
#include "core/meta/uuid.h"
#include "core/pair/signature.h"

namespace dmremap {

std::vector<SpareInside> spares_inside(Device& device, const FoundDevice& found) {
    std::vector<SpareInside> spares;
    const DeviceInfo& info = device.info();
    for (const Partition& part : partitions(found)) {
        // A table may say anything.
        if (part.begin % info.logical_block != 0 || part.begin > info.size ||
            part.size > info.size - part.begin)
            continue;
        WindowDevice window(device, part.begin,
                            part.size / info.logical_block * info.logical_block);
        const SuperblockScan scan = scan_superblocks(window);
        if (scan.current)
            spares.push_back({.uuid = uuid_text(scan.current->uuid), .partition = part.number});
    }
    return spares;
}

}  // namespace dmremap
