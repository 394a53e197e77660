// SPDX-License-Identifier: GPL-2.0-or-later
// Keeping others away from the bytes that a block device stands on.
//
// O_EXCL keeps two openers of one block device apart, and those of a disk and its partition. It
// does not where loop devices are between: two of them over one file, one over a disk that is open,
// one over another. So each opener locks its range of bytes on every layer: on the node of the
// disk, on that of each disk below, and on the file at the bottom. Ranges, for two partitions or
// two loop devices over different parts of one file may well be a pair.
#pragma once

#include <string>
#include <vector>

#include "core/device/device_facts.h"
#include "core/device/file_lock.h"
#include "core/device/unique_fd.h"

namespace dmremap {

struct LayerLocks {
    std::vector<UniqueFd> held;  // the locks end with these
    std::string in_the_way;      // "" when all are held, else what is in use
    std::string by;              // by whom, "" where that is not known
};

// One attempt. A layer that cannot be opened (deleted, another mount namespace, not ours to use)
// cannot be locked: that much stays undetected. Throws Refusal where a file system has no locks.
LayerLocks try_lock_layers(const FoundDevice& device, bool writable, LockKind kind);

}  // namespace dmremap
