// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/call_way.h"

#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdlib>

#include "core/device/aligned_buffers.h"

namespace dmremap {

CallWay best_way(int fd) {
    struct statfs where {};
    if (::fstatfs(fd, &where) == 0 && (where.f_type == TMPFS_MAGIC || where.f_type == RAMFS_MAGIC ||
                                       where.f_type == HUGETLBFS_MAGIC))
        return CallWay::at_once;
    // Where RWF_NOWAIT is unknown io_uring gives each call to a thread of its own.
    constexpr std::size_t kLength = 4096;
    const AlignedMemory memory = allocate_aligned(kLength);
    if (!memory) return CallWay::pool;
    iovec piece{memory.get(), kLength};
    const ssize_t got = ::preadv2(fd, &piece, 1, 0, RWF_NOWAIT);
    return got < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS) ? CallWay::pool
                                                                                  : CallWay::loop;
}

}  // namespace dmremap
