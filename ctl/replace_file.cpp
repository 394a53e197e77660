// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/device/unique_fd.h"
#include "core/refusal.h"

namespace dmremap::ctl {

namespace {

void write_whole(int file, const std::string& text, const std::string& path) {
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t written = ::write(file, text.data() + done, text.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0)
            throw Refusal(RefusalKind::system,
                          path + " cannot be written: " + std::strerror(errno));
        done += static_cast<std::size_t>(written);
    }
}

void write_through(const std::string& path, const std::string& text) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    struct stat there {};
    if (!file || ::fstat(file.get(), &there) != 0)
        throw Refusal(RefusalKind::system, path + " cannot be opened: " + std::strerror(errno));
    if (S_ISBLK(there.st_mode))
        throw Refusal(RefusalKind::refused, path + " is a block device; nothing was written to it");
    if (S_ISREG(there.st_mode) && ::ftruncate(file.get(), 0) != 0)
        throw Refusal(RefusalKind::system, path + " cannot be written: " + std::strerror(errno));
    write_whole(file.get(), text, path);
}

}  // namespace

void replace_file(const std::string& path, const std::string& text) {
    struct stat there {};
    if (::lstat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
        write_through(path, text);
        return;
    }
    std::string name = path + ".XXXXXX";
    const UniqueFd file(::mkstemp(name.data()));
    if (!file)
        throw Refusal(RefusalKind::system, path + " cannot be made: " + std::strerror(errno));
    try {
        write_whole(file.get(), text, path);
        if (::fchmod(file.get(), 0644) != 0 || ::rename(name.c_str(), path.c_str()) != 0)
            throw Refusal(RefusalKind::system, path + " cannot be made: " + std::strerror(errno));
    } catch (const Refusal&) {
        ::unlink(name.c_str());
        throw;
    }
}

}  // namespace dmremap::ctl
