// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/target.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/refusal.h"
#include "ctl/mounts.h"

namespace dmremap::ctl {

namespace {

// Of a path that may be a mount point whose daemon is gone: stat() fails there, but every part
// above it can be resolved.
std::string resolve(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> whole(realpath(path.c_str(), nullptr),
                                                            &std::free);
    if (whole) return whole.get();
    std::string trimmed = path;
    while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
    const auto slash = trimmed.rfind('/');
    const std::string parent = slash == 0 ? "/" : trimmed.substr(0, slash);
    const std::unique_ptr<char, decltype(&std::free)> above(realpath(parent.c_str(), nullptr),
                                                            &std::free);
    if (!above) return trimmed;
    const std::string start = above.get();
    return (start == "/" ? "" : start) + trimmed.substr(slash);
}

[[noreturn]] void no_such_target(const std::string& sentence) {
    throw Refusal(RefusalKind::not_found, "no such target: " + sentence);
}

}  // namespace

Target find_target(const std::string& word) {
    if (word.find('/') == std::string::npos)
        no_such_target("'" + word +
                       "' has no slash and so is a device-mapper name, and this version knows no "
                       "device-mapper disks; write ./" +
                       word + " for a mount point or a spare in this directory");
    const std::string path = resolve(word);
    const auto mounts = disks_up();
    if (std::any_of(mounts.begin(), mounts.end(),
                    [&path](const Mount& mount) { return mount.point == path; }))
        return {Target::Kind::mount, path};

    struct stat facts {};
    if (stat(word.c_str(), &facts) != 0) no_such_target(word + ": " + std::strerror(errno));
    if (S_ISDIR(facts.st_mode))
        no_such_target(word + " is a directory, but no disk is mounted on it; see dmremapctl list");
    if (!S_ISREG(facts.st_mode) && !S_ISBLK(facts.st_mode))
        no_such_target(word + " is neither a mount point nor a block device nor an image file");
    for (const Mount& mount : mounts)
        if (path.starts_with(mount.point + "/"))
            no_such_target(word + " is a file of the disk mounted on " + mount.point +
                           "; name that");
    return {Target::Kind::spare, word};
}

}  // namespace dmremap::ctl
