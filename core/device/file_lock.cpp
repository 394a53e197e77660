// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/device/kernel_text.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

[[noreturn]] void cannot_lock(const std::string& name, int error) {
    throw Refusal(
        RefusalKind::system,
        name + " cannot be locked against others (put it on a file system that has locks): " +
            std::strerror(error));
}

struct flock byte_range(short type, std::uint64_t begin, std::uint64_t length) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(begin);
    lock.l_len = static_cast<off_t>(length);
    return lock;
}

// length 0: to the end, wherever that is.
bool try_lock_bytes(int fd, bool writable, LockKind kind, std::uint64_t begin, std::uint64_t length,
                    const std::string& name) {
    const bool exclusive = kind == LockKind::exclusive;
    if (exclusive && !writable) {
        struct flock other = byte_range(F_WRLCK, begin, length);
        if (::fcntl(fd, F_OFD_GETLK, &other) != 0) cannot_lock(name, errno);
        if (other.l_type != F_UNLCK) return false;
    }
    struct flock lock = byte_range(exclusive && writable ? F_WRLCK : F_RDLCK, begin, length);
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
    if (errno != EAGAIN && errno != EACCES) cannot_lock(name, errno);
    return false;
}

std::string process_words(long pid) {
    if (pid == ::getpid()) return "this process";
    const auto name = read_text("/proc/" + std::to_string(pid) + "/comm");
    return "process " + std::to_string(pid) + (name ? " (" + *name + ")" : "");
}

// Only what lies below /dev is looked at closer: a stat of something on a network or FUSE file
// system may never return.
bool has_open(const std::filesystem::path& process, const std::filesystem::path& fd, dev_t rdev) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(fd, error);
    struct stat st;
    if (error || target.compare(0, 5, "/dev/") != 0 || ::stat(fd.c_str(), &st) != 0 ||
        !S_ISBLK(st.st_mode) || st.st_rdev != rdev)
        return false;
    // O_PATH descriptors, our own among them, are not open devices.
    const auto info = read_text(process / "fdinfo" / fd.filename());
    unsigned int flags = 0;
    const std::size_t at = info ? info->find("flags:") : std::string::npos;
    return at != std::string::npos && std::sscanf(info->c_str() + at, "flags: %o", &flags) == 1 &&
           (flags & O_PATH) == 0;
}

}  // namespace

bool try_lock_image(int fd, bool writable, LockKind kind, const std::string& name) {
    const bool exclusive = kind == LockKind::exclusive;
    if (::flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return false;
        // NFS makes it a lock on bytes, for which an exclusive one wants a descriptor open for
        // writing.
        const bool of_bytes = errno == EBADF && exclusive && !writable;
        if (!of_bytes) cannot_lock(name, errno);
    }
    if (try_lock_bytes(fd, writable, kind, 0, 0, name)) return true;
    ::flock(fd, LOCK_UN);
    return false;
}

bool try_lock_range(int fd, bool writable, LockKind kind, std::uint64_t begin, std::uint64_t end,
                    const std::string& name) {
    return begin == end || try_lock_bytes(fd, writable, kind, begin, end - begin, name);
}

std::string lock_owner(dev_t dev, ino_t inode) {
    char wanted[64];
    std::snprintf(wanted, sizeof(wanted), "%02x:%02x:%llu", major(dev), minor(dev),
                  static_cast<unsigned long long>(inode));
    // "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF"; byte locks of descriptors have no process.
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        long pid = 0;
        char file[64];
        if (line.find("->") == std::string::npos &&
            std::sscanf(line.c_str(), "%*s %*s %*s %*s %ld %63s", &pid, file) == 2 && pid > 0 &&
            std::strcmp(file, wanted) == 0)
            return process_words(pid);
    }
    return "";
}

std::string block_device_user(dev_t rdev) {
    namespace fs = std::filesystem;
    std::error_code error;
    for (const auto& process : fs::directory_iterator("/proc", error)) {
        const long pid = std::atol(process.path().filename().c_str());
        std::error_code unreadable;
        if (pid <= 0) continue;
        for (fs::directory_iterator fd(process.path() / "fd", unreadable), none;
             !unreadable && fd != none; fd.increment(unreadable))
            if (has_open(process.path(), fd->path(), rdev)) return process_words(pid);
    }
    return "";
}

}  // namespace dmremap
