// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/device_facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/device/kernel_text.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

std::string through_proc(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

void find_disk(DeviceFacts& facts) {
    facts.disk = facts.rdev;
    facts.sysfs = facts.disk_sysfs = sysfs_directory(facts.rdev);
    if (facts.sysfs.empty() || !read_text(facts.sysfs + "/partition")) return;
    facts.disk_sysfs = facts.sysfs.substr(0, facts.sysfs.rfind('/'));
    facts.start = read_number(facts.sysfs + "/start").value_or(0) * 512;
    unsigned int major_number = 0, minor_number = 0;
    const std::string number = read_text(facts.disk_sysfs + "/dev").value_or("");
    if (std::sscanf(number.c_str(), "%u:%u", &major_number, &minor_number) == 2)
        facts.disk = makedev(major_number, minor_number);
}

}  // namespace

// Loop devices may stand on block devices, other loop devices among them; the kernel allows no
// circles.
DeviceFacts facts_of_block(dev_t rdev) {
    DeviceFacts facts;
    facts.kind = DeviceKind::block;
    facts.rdev = rdev;
    find_disk(facts);
    facts.size = read_number(facts.sysfs + "/size").value_or(0) * 512;
    facts.read_only = read_text(facts.sysfs + "/ro") == "1";
    facts.extents.push_back(
        {.image = false, .dev = facts.disk, .begin = facts.start, .end = facts.start + facts.size});
    facts.backing = loop_backing(facts.disk, facts.disk_sysfs);
    if (!facts.backing || !facts.backing->known) return facts;

    const std::uint64_t begin = facts.backing->offset + facts.start;
    if (facts.backing->rdev == 0) {
        facts.extents.push_back({.image = true,
                                 .dev = facts.backing->dev,
                                 .inode = facts.backing->inode,
                                 .begin = begin,
                                 .end = begin + facts.size});
    } else {
        for (Extent extent : facts_of_block(facts.backing->rdev).extents) {
            extent.begin += begin;
            extent.end = std::min(extent.end, extent.begin + facts.size);
            facts.extents.push_back(extent);
        }
    }
    return facts;
}

DeviceFacts facts_of(int fd, const std::string& name) {
    struct stat st;
    if (::fstat(fd, &st) != 0)
        throw Refusal(RefusalKind::system, name + " cannot be examined: " + std::strerror(errno));
    if (S_ISBLK(st.st_mode)) {
        DeviceFacts facts = facts_of_block(st.st_rdev);
        facts.dev = st.st_dev;
        facts.inode = st.st_ino;
        return facts;
    }
    if (!S_ISREG(st.st_mode))
        throw Refusal(RefusalKind::refused,
                      name + " is neither a block device nor an image file: give one of these");
    DeviceFacts facts;
    facts.kind = DeviceKind::image;
    facts.dev = st.st_dev;
    facts.inode = st.st_ino;
    facts.size = static_cast<std::uint64_t>(st.st_size);
    facts.read_only = ::faccessat(AT_FDCWD, through_proc(fd).c_str(), W_OK, AT_EACCESS) != 0 &&
                      (errno == EROFS || errno == EACCES || errno == EPERM);
    facts.extents.push_back(
        {.image = true, .dev = st.st_dev, .inode = st.st_ino, .begin = 0, .end = facts.size});
    return facts;
}

bool overlap(const DeviceFacts& a, const DeviceFacts& b) {
    for (const Extent& x : a.extents)
        for (const Extent& y : b.extents)
            if (x.image == y.image && x.dev == y.dev && x.inode == y.inode && x.begin < y.end &&
                y.begin < x.end)
                return true;
    return false;
}

FoundDevice::FoundDevice(const std::string& path)
    : name_(path), path_fd_(::open(path.c_str(), O_PATH | O_CLOEXEC)) {
    if (!path_fd_) {
        const int error = errno;
        if (error == ENOENT || error == ENOTDIR)
            throw Refusal(RefusalKind::not_found,
                          path + " does not exist: give a block device or an image file");
        throw Refusal(RefusalKind::system, path + " cannot be opened: " + std::strerror(error));
    }
    facts_ = facts_of(path_fd_.get(), path);
}

int FoundDevice::open(int flags) const {
    return ::open(held_path().c_str(), flags | O_CLOEXEC | O_NOCTTY);
}

std::string FoundDevice::held_path() const { return through_proc(path_fd_.get()); }

}  // namespace dmremap
