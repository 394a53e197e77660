// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <filesystem>

#include "core/device/kernel_text.h"
#include "core/device/unique_fd.h"

namespace dmremap {

namespace {

// The driver knows the file itself; its path may be deleted, or mean another file in our mount
// namespace. Only where the driver cannot be asked (no right to open it) the path has to do.
void find_backing_file(dev_t rdev, LoopBacking& backing) {
    const UniqueFd fd(::open(device_node(rdev).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    loop_info64 info{};
    if (fd && ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) == 0) {
        backing.known = true;
        backing.dev = info.lo_device;
        backing.inode = info.lo_inode;
        backing.rdev = info.lo_rdevice;
        return;
    }
    struct stat st;
    if (::stat(backing.path.c_str(), &st) != 0) return;
    backing.known = true;
    backing.dev = st.st_dev;
    backing.inode = st.st_ino;
    backing.rdev = S_ISBLK(st.st_mode) ? st.st_rdev : 0;
}

}  // namespace

std::optional<LoopBacking> loop_backing(dev_t rdev, const std::string& sysfs) {
    const auto path = read_text(sysfs + "/loop/backing_file");
    if (!path || path->empty()) return std::nullopt;
    LoopBacking backing;
    backing.path = *path;
    backing.offset = read_number(sysfs + "/loop/offset").value_or(0);
    backing.direct = read_text(sysfs + "/loop/dio") == "1";
    find_backing_file(rdev, backing);
    return backing;
}

std::vector<dev_t> attached_loops() {
    std::vector<dev_t> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/block", error)) {
        const std::string sysfs = entry.path();
        const auto file = read_text(sysfs + "/loop/backing_file");
        const auto number = read_text(sysfs + "/dev");
        unsigned int major_number = 0, minor_number = 0;
        if (file && !file->empty() && number &&
            std::sscanf(number->c_str(), "%u:%u", &major_number, &minor_number) == 2)
            found.push_back(makedev(major_number, minor_number));
    }
    return found;
}

}  // namespace dmremap
