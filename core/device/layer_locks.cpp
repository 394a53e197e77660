// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/layer_locks.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/device/kernel_text.h"

namespace dmremap {

namespace {

// The file at the bottom of loop devices, by the path that the kernel knows; "" where there is
// none.
std::string bottom_path(const DeviceFacts& facts) {
    if (!facts.backing || !facts.backing->known) return "";
    if (facts.backing->rdev == 0) return facts.backing->path;
    return bottom_path(facts_of_block(facts.backing->rdev));
}

// Device-mapper, RAID or bcache on a device below: they take no locks.
std::string holders_below(const DeviceFacts& facts, std::string& layer) {
    if (!facts.backing || !facts.backing->known || facts.backing->rdev == 0) return "";
    const DeviceFacts below = facts_of_block(facts.backing->rdev);
    layer = facts.backing->path;
    const std::string holders = kernel_holders(below.sysfs);
    return holders.empty() ? holders_below(below, layer) : holders;
}

bool leads_to(int fd, const Extent& extent) {
    struct stat st;
    if (::fstat(fd, &st) != 0) return false;
    if (!extent.image) return S_ISBLK(st.st_mode) && st.st_rdev == extent.dev;
    return st.st_dev == extent.dev && st.st_ino == extent.inode;
}

}  // namespace

LayerLocks try_lock_layers(const FoundDevice& device, bool writable, LockKind kind) {
    LayerLocks locks;
    const DeviceFacts& facts = device.facts();
    locks.by = holders_below(facts, locks.in_the_way);
    if (!locks.by.empty()) return locks;
    locks.in_the_way.clear();
    const std::string bottom = bottom_path(facts);
    for (const Extent& extent : facts.extents) {
        const std::string path = extent.image ? bottom : device_node(extent.dev);
        if (path.empty()) continue;
        UniqueFd fd(::open(path.c_str(),
                           (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
        if (!fd || !leads_to(fd.get(), extent)) continue;
        const std::string name =
            path + (extent.image ? " (the file under " : " (the disk under ") + device.name() + ")";
        if (!try_lock_range(fd.get(), writable, kind, extent.begin, extent.end, name)) {
            locks.in_the_way = name;
            locks.by =
                extent.image ? lock_owner(extent.dev, extent.inode) : block_device_user(extent.dev);
            return locks;
        }
        locks.held.push_back(std::move(fd));
    }
    return locks;
}

}  // namespace dmremap
