// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/allocate_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/device/unique_fd.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

std::string system_reason(int error) { return std::strerror(error); }

// Space a caller may use. Root may use what is kept back for it, but a spare must not live on that.
std::uint64_t space_left(int fd, const std::string& path) {
    struct statvfs facts {};
    if (fstatvfs(fd, &facts) != 0)
        throw Refusal(RefusalKind::system,
                      "the free space under " + path + " is not known: " + system_reason(errno));
    return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

[[noreturn]] void refuse_space(const std::string& path, std::uint64_t size, std::uint64_t missing,
                               std::uint64_t left) {
    throw Refusal(RefusalKind::refused,
                  path + " is a sparse image of " + std::to_string(size) + " bytes and lacks " +
                      std::to_string(missing) + " of them, but its file system has only " +
                      std::to_string(left) +
                      " left: make room there, or make a smaller spare (truncate -s)");
}

}  // namespace

std::string allocate_image(const FoundDevice& found) {
    if (found.facts().kind != DeviceKind::image) return "";
    const std::string& path = found.name();
    const UniqueFd image(found.open(O_RDWR));
    struct stat facts {};
    if (!image || fstat(image.get(), &facts) != 0)
        throw Refusal(RefusalKind::system,
                      path + " cannot be opened to allocate its space: " + system_reason(errno));
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    // st_blocks is in 512 bytes whatever the file system's block is; it counts the file system's
    // own blocks for this file too, so "enough" is no proof, and posix_fallocate() has the last
    // word.
    const auto allocated = static_cast<std::uint64_t>(facts.st_blocks) * 512;
    const std::uint64_t missing = size > allocated ? size - allocated : 0;
    if (size == 0) return "";
    // An allocation that fails half way keeps what it got, so what can be known is asked first.
    if (missing > space_left(image.get(), path))
        refuse_space(path, size, missing, space_left(image.get(), path));
    const int error = posix_fallocate(image.get(), 0, facts.st_size);
    switch (error) {
        case 0:
            return "";
        case ENOSPC:
        case EDQUOT:
            refuse_space(path, size, missing, space_left(image.get(), path));
        case EINVAL:
        case EOPNOTSUPP:
            return path +
                   " could not be allocated fully, as its file system cannot do that: keep space "
                   "free there, or a block that goes bad may find no place";
        default:
            break;
    }
    throw Refusal(RefusalKind::system,
                  "the space of " + path + " cannot be allocated: " + system_reason(error));
}

}  // namespace dmremap
