// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/file_open.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "core/device/direct_io.h"
#include "core/device/file_lock.h"
#include "core/device/kernel_text.h"
#include "core/device/layer_locks.h"
#include "core/pair/identity.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

constexpr std::uint32_t kImageLogicalBlock = 512;
constexpr std::uint32_t kImagePhysicalBlock = 4096;

// Calls attempt() until it is true or the time is over; false then.
template <class Attempt>
bool wait_for(unsigned seconds, Attempt attempt) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    const timespec pause{.tv_sec = 0, .tv_nsec = 20'000'000};
    while (!attempt()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        ::nanosleep(&pause, nullptr);
    }
    return true;
}

[[noreturn]] void busy(const std::string& name, const std::string& user) {
    throw Refusal(RefusalKind::busy, name + " is in use" + (user.empty() ? "" : " by " + user) +
                                         ": close it there first, then try again");
}

[[noreturn]] void cannot_write(const std::string& name) {
    throw Refusal(RefusalKind::refused,
                  name + " is read-only: make it writable, or open it for reading only");
}

[[noreturn]] void cannot_open(const std::string& name, int error, bool read_only) {
    if (error == EROFS) cannot_write(name);
    const bool gone = error == ENXIO || error == ENODEV || error == ENOMEDIUM || error == ENOENT;
    throw Refusal(gone ? RefusalKind::not_found : RefusalKind::system,
                  name + " cannot be opened for " + (read_only ? "reading: " : "writing: ") +
                      std::strerror(error));
}

[[noreturn]] void cannot_measure(const std::string& name) {
    throw Refusal(RefusalKind::system,
                  name + " does not tell its size and block sizes: " + std::strerror(errno));
}

UniqueFd open_block(const FoundDevice& found, const FileOptions& options) {
    const int flags =
        (options.read_only ? O_RDONLY : O_RDWR) | O_EXCL | (options.direct ? O_DIRECT : O_DSYNC);
    UniqueFd fd;
    const bool opened = wait_for(options.lock_wait_seconds, [&] {
        fd = UniqueFd(found.open(flags));
        if (!fd && errno != EBUSY) cannot_open(found.name(), errno, options.read_only);
        return static_cast<bool>(fd);
    });
    if (!opened) {
        std::string user = kernel_holders(found.facts().sysfs);
        if (user.empty()) user = block_device_user(found.facts().rdev);
        busy(found.name(), user);
    }
    return fd;
}

LockKind lock_kind(const FileOptions& options) {
    return options.read_only && options.shared ? LockKind::shared : LockKind::exclusive;
}

std::vector<UniqueFd> lock_layers(const FoundDevice& found, const FileOptions& options) {
    LayerLocks locks;
    if (!wait_for(options.lock_wait_seconds, [&] {
            locks = try_lock_layers(found, !options.read_only, lock_kind(options));
            return locks.in_the_way.empty();
        }))
        busy(locks.in_the_way, locks.by);
    return std::move(locks.held);
}

void measure_block(OpenFile& file, const FoundDevice& found) {
    std::uint64_t size = 0;
    int logical = 0, read_only = 0;
    unsigned int physical = 0;
    const int fd = file.fd.get();
    if (::ioctl(fd, BLKGETSIZE64, &size) != 0 || ::ioctl(fd, BLKSSZGET, &logical) != 0 ||
        ::ioctl(fd, BLKPBSZGET, &physical) != 0 || ::ioctl(fd, BLKROGET, &read_only) != 0)
        cannot_measure(found.name());
    file.info.size = size;
    file.info.logical_block = static_cast<std::uint32_t>(logical);
    file.info.physical_block = std::max(physical, file.info.logical_block);
    if (read_only != 0 && !file.info.read_only) cannot_write(found.name());
    if (found.facts().backing && !found.facts().backing->direct)
        file.info.note +=
            found.name() +
            " is a loop device that goes through the page cache of its file, so that write errors "
            "may only show at a flush: attach it with losetup --direct-io=on. ";
}

// Direct I/O is tried first; the descriptor it was tried with is kept only if it does.
void open_image(OpenFile& file, const FoundDevice& found, const FileOptions& options) {
    const int access = options.read_only ? O_RDONLY : O_RDWR;
    std::string why_not = "it was asked not to";
    if (options.direct) {
        file.fd = UniqueFd(found.open(access | O_DIRECT));
        if (!file.fd && errno != EINVAL && errno != EOPNOTSUPP)
            cannot_open(found.name(), errno, options.read_only);
        why_not = "its file system does not know direct I/O";
    }
    if (file.fd) {
        const DirectIo direct =
            examine_direct_io(file.fd.get(), file.info.size, file.info.logical_block);
        file.direct = direct.possible;
        file.memory_alignment = direct.memory_alignment;
        why_not = direct.why_not;
    }
    if (!file.direct) {
        file.fd = UniqueFd(found.open(access | O_DSYNC));
        if (!file.fd) cannot_open(found.name(), errno, options.read_only);
        file.memory_alignment = 1;
        file.info.note += found.name() +
                          " is used through the page cache, each write waiting for the disk (" +
                          why_not + "): slower, and a read error may take 4096 bytes with it. ";
    }
}

void measure_image(OpenFile& file, const FoundDevice& found) {
    file.info.size = found.facts().size;
    file.info.logical_block = kImageLogicalBlock;
    file.info.physical_block = kImagePhysicalBlock;
    if (file.info.size % kImageLogicalBlock != 0)
        throw Refusal(RefusalKind::refused,
                      found.name() + " has " + std::to_string(file.info.size) +
                          " bytes, which is no multiple of 512: enlarge it with truncate -s %512");
}

void examine_allocation(OpenFile& file, const FoundDevice& found) {
    const int fd = file.fd.get();
    struct stat st;
    if (::fstat(fd, &st) != 0) cannot_measure(found.name());
    // The file may have changed its size since it was found; now it is locked.
    if (static_cast<std::uint64_t>(st.st_size) != file.info.size)
        throw Refusal(RefusalKind::busy,
                      found.name() + " changed its size while it was opened: try again");
    file.file_block = std::max(file.file_block, static_cast<std::uint32_t>(st.st_blksize));
    file.sparse = static_cast<std::uint64_t>(st.st_blocks) * 512 < file.info.size;
}

}  // namespace

OpenFile open_file(const FoundDevice& found, const FileOptions& options) {
    if (found.facts().read_only && !options.read_only) cannot_write(found.name());
    OpenFile file;
    file.kind = found.facts().kind;
    file.info.name = found.name();
    file.info.read_only = options.read_only;
    file.info.note = options.note;
    if (file.kind == DeviceKind::block) {
        file.fd = open_block(found, options);
        file.layers = lock_layers(found, options);
        measure_block(file, found);
        file.direct = options.direct;
        if (file.direct) file.memory_alignment = std::max(file.info.logical_block, 512u);
    } else {
        measure_image(file, found);
        open_image(file, found, options);
        if (!wait_for(options.lock_wait_seconds, [&] {
                return try_lock_image(file.fd.get(), !options.read_only, lock_kind(options),
                                      found.name());
            }))
            busy(found.name(), lock_owner(found.facts().dev, found.facts().inode));
        examine_allocation(file, found);
    }
    if (file.info.size == 0)
        throw Refusal(RefusalKind::refused, found.name() + " is empty: give one that holds data");
    file.info.note.erase(file.info.note.find_last_not_of(' ') + 1);
    file.info.identity = identify(file.fd.get(), file.info.size).text;
    return file;
}

}  // namespace dmremap
