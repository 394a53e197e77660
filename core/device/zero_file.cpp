// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/zero_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace dmremap {

namespace {

bool unsupported(int error) {
    return error == EOPNOTSUPP || error == ENOTTY || error == EINVAL || error == ENOSYS;
}

// Remembers in `missing` that the file system cannot do it, and says EOPNOTSUPP from then on.
int change_allocation(int fd, int mode, ZeroFile::Range range, std::atomic<bool>& missing) {
    if (missing.load(std::memory_order_relaxed)) return EOPNOTSUPP;
    int result;
    do {
        result = ::fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.begin),
                             static_cast<off_t>(range.end - range.begin));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return 0;
    if (!unsupported(errno)) return errno;
    missing.store(true, std::memory_order_relaxed);
    return EOPNOTSUPP;
}

int block_ioctl(int fd, unsigned long request, ZeroFile::Range range, std::atomic<bool>& missing) {
    if (missing.load(std::memory_order_relaxed)) return EOPNOTSUPP;
    std::uint64_t argument[2] = {range.begin, range.end - range.begin};
    int result;
    do {
        result = ::ioctl(fd, request, argument);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return 0;
    if (!unsupported(errno)) return errno;
    missing.store(true, std::memory_order_relaxed);
    return EOPNOTSUPP;
}

}  // namespace

ZeroFile::Range ZeroFile::whole_blocks(std::uint64_t offset, std::uint64_t length) const {
    const std::uint64_t unit =
        file_.kind == DeviceKind::block ? file_.info.logical_block : file_.file_block;
    const std::uint64_t end = offset + length;
    const std::uint64_t first = (offset + unit - 1) / unit * unit;
    const std::uint64_t last = end / unit * unit;
    return first < last ? Range{first, last} : Range{end, end};
}

int ZeroFile::zero(Range range) {
    if (file_.kind == DeviceKind::block)
        return block_ioctl(file_.fd.get(), BLKZEROOUT, range, no_zero_out_);
    return zero_image(range);
}

int ZeroFile::zero_image(Range range) {
    const int fd = file_.fd.get();
    int error = EOPNOTSUPP;
    if (!file_.sparse) error = change_allocation(fd, FALLOC_FL_ZERO_RANGE, range, no_zero_range_);
    if (error == EOPNOTSUPP)
        error = change_allocation(fd, FALLOC_FL_PUNCH_HOLE, range, no_punch_hole_);
    if (error == EOPNOTSUPP && file_.sparse)
        error = change_allocation(fd, FALLOC_FL_ZERO_RANGE, range, no_zero_range_);
    return error;
}

int ZeroFile::discard(Range range) {
    int error = 0;
    if (file_.kind == DeviceKind::block)
        error = block_ioctl(file_.fd.get(), BLKDISCARD, range, no_punch_hole_);
    else if (file_.sparse)
        error = change_allocation(file_.fd.get(), FALLOC_FL_PUNCH_HOLE, range, no_punch_hole_);
    return error == EOPNOTSUPP ? 0 : error;
}

}  // namespace dmremap
