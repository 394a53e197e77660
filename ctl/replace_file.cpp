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

}  // namespace

void replace_file(const std::string& path, const std::string& text) {
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
