// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/mounts.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/device/kernel_text.h"
#include "core/refusal.h"

namespace dmremap::ctl {

namespace {

constexpr const char* kMountinfo = "/proc/self/mountinfo";
constexpr const char* kType = "fuse.dmremapfs";

}  // namespace

std::vector<Mount> parse_mountinfo(std::istream& mountinfo) {
    std::vector<Mount> mounts;
    std::string line;
    while (std::getline(mountinfo, line)) {
        // id parent major:minor root point options [optional...] - type source super-options
        // One blank lies between two of them. Other white space may be a part of a name.
        std::istringstream words(line);
        const auto next = [&words](std::string& word) -> bool {
            return static_cast<bool>(std::getline(words, word, ' '));
        };
        std::string word, root, point, type, source;
        for (std::string* const of_mount : {&word, &word, &word, &root, &point, &word})
            next(*of_mount);
        while (next(word) && word != "-") {
        }
        if (!next(type) || !next(source) || type != kType) continue;
        mounts.push_back({unescape_octal(point), unescape_octal(source)});
    }
    return mounts;
}

std::vector<Mount> disks_up() {
    std::ifstream file(kMountinfo);
    if (!file)
        throw Refusal(RefusalKind::system, std::string(kMountinfo) +
                                               " cannot be read, so it is not known what is up: " +
                                               std::strerror(errno));
    return parse_mountinfo(file);
}

}  // namespace dmremap::ctl
