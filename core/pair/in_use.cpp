// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/in_use.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>

#include "core/device/kernel_text.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

// The device behind a path of one of /proc's tables; only what lies below /dev is looked at, since
// a stat of something on a network or FUSE file system may never return.
std::optional<dev_t> block_device_at(const std::string& path) {
    struct stat st;
    if (path.compare(0, 5, "/dev/") != 0 || ::stat(path.c_str(), &st) != 0 || !S_ISBLK(st.st_mode))
        return std::nullopt;
    return st.st_rdev;
}

// Where a block device that shares bytes with this one is mounted, "" if nowhere. The mount's own
// device number does for most; btrfs has one of its own and names the device as its source.
std::string mount_point(const DeviceFacts& device) {
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string id, parent, number, root, point, word, type, source;
        words >> id >> parent >> number >> root >> point;
        while (words >> word && word != "-") {
        }
        words >> type >> source;
        unsigned int major_number = 0, minor_number = 0;
        if (std::sscanf(number.c_str(), "%u:%u", &major_number, &minor_number) != 2) continue;
        std::optional<dev_t> mounted = makedev(major_number, minor_number);
        if (major_number == 0) mounted = block_device_at(unescape_octal(source));
        if (mounted && overlap(device, facts_of_block(*mounted))) return unescape_octal(point);
    }
    return "";
}

// The swap area that shares bytes with this device, "" if none.
std::string swap_area(const DeviceFacts& device) {
    std::ifstream swaps("/proc/swaps");
    std::string line;
    std::getline(swaps, line);  // the heading
    while (std::getline(swaps, line)) {
        std::istringstream words(line);
        std::string path, type;
        words >> path >> type;
        path = unescape_octal(path);
        struct stat st;
        if (type == "file" && device.kind == DeviceKind::image && ::stat(path.c_str(), &st) == 0 &&
            st.st_dev == device.dev && st.st_ino == device.inode)
            return path;
        const auto swap = block_device_at(path);
        if (swap && overlap(device, facts_of_block(*swap))) return path;
    }
    return "";
}

// A loop device above this one; those below it (it is one, or lies on one) do not count.
std::string loop_above(const DeviceFacts& device) {
    for (const dev_t loop : attached_loops()) {
        const bool below = std::any_of(
            device.extents.begin(), device.extents.end(),
            [loop](const Extent& extent) { return !extent.image && extent.dev == loop; });
        if (below || !overlap(device, facts_of_block(loop))) continue;
        const std::string node = device_node(loop);
        return node.empty() ? "loop device " + device_number(loop) : node;
    }
    return "";
}

}  // namespace

void check_not_in_use(const FoundDevice& device, const std::string& role) {
    const DeviceFacts& facts = device.facts();
    const std::string the_device = "the " + role + " " + device.name();
    if (const std::string point = mount_point(facts); !point.empty())
        throw Refusal(RefusalKind::busy, the_device + " is mounted on " + point +
                                             ", itself or a part of it: unmount it first (umount " +
                                             point + ")");
    if (const std::string area = swap_area(facts); !area.empty())
        throw Refusal(RefusalKind::busy, the_device + " is swap space (" + area +
                                             "): take it out of use first (swapoff " + area + ")");
    if (const std::string loop = loop_above(facts); !loop.empty())
        throw Refusal(RefusalKind::busy, the_device + " is attached to " + loop +
                                             ": detach it first (losetup -d " + loop + ")");
}

}  // namespace dmremap
