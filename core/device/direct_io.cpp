// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel is asked first (statx, since 6.1), then believed only after a real read: some file
// systems take O_DIRECT at open and fail every transfer with EINVAL. A read that fails otherwise
// says nothing against direct I/O: a failing disk is what this program is for.
#include "core/device/direct_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "core/device/aligned_buffers.h"

namespace dmremap {

namespace {

// struct statx as Linux 6.1 has it: libc's may end before the two fields wanted here.
struct StatxDirect {
    std::uint32_t mask;
    std::uint8_t before[0x98 - 4];
    std::uint32_t memory_alignment;
    std::uint32_t offset_alignment;
    std::uint8_t after[0x100 - 0xa0];
};
static_assert(offsetof(StatxDirect, memory_alignment) == 0x98);
static_assert(sizeof(StatxDirect) == 0x100);
constexpr std::uint32_t kStatxDioalign = 0x2000;

constexpr std::uint32_t kMemoryAlignmentUnknown = 512;

}  // namespace

DirectIo examine_direct_io(int fd, std::uint64_t size, std::uint32_t logical_block) {
    DirectIo result;
    result.memory_alignment = std::max(logical_block, kMemoryAlignmentUnknown);
    StatxDirect told{};
    if (::syscall(SYS_statx, fd, "", AT_EMPTY_PATH, kStatxDioalign, &told) == 0 &&
        (told.mask & kStatxDioalign) != 0) {
        if (told.offset_alignment == 0) {
            result.why_not = "its file system does not do direct I/O on it";
            return result;
        }
        if (told.offset_alignment > logical_block) {
            result.why_not = "its file system does direct I/O only in units of " +
                             std::to_string(told.offset_alignment) + " bytes";
            return result;
        }
        result.memory_alignment = std::max(told.memory_alignment, 1u);
        if (result.memory_alignment > AlignedBuffers::kAlignment) {
            result.why_not = "its file system wants memory aligned to " +
                             std::to_string(result.memory_alignment) + " bytes for direct I/O";
            return result;
        }
    }

    const AlignedMemory memory = allocate_aligned(AlignedBuffers::kAlignment);
    // The second block where there is one: offset 0 is aligned to everything.
    const std::uint64_t offset = size >= 2ull * logical_block ? logical_block : 0;
    if (!memory || (::pread(fd, memory.get(), logical_block, static_cast<off_t>(offset)) < 0 &&
                    errno == EINVAL)) {
        result.why_not = "its file system refuses direct I/O in units of " +
                         std::to_string(logical_block) + " bytes";
        return result;
    }
    result.possible = true;
    return result;
}

}  // namespace dmremap
