// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/kernel_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "core/device/unique_fd.h"
#include "core/whole_number.h"

namespace dmremap {

namespace {

std::optional<std::string> line_value(const std::string& path, const std::string& start) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.compare(0, start.size(), start) == 0) return line.substr(start.size());
    return std::nullopt;
}

}  // namespace

std::optional<std::string> read_text(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd) return std::nullopt;
    std::string text;
    char piece[4096];
    for (;;) {
        const ssize_t n = ::read(fd.get(), piece, sizeof(piece));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::nullopt;
        if (n == 0) break;
        text.append(piece, static_cast<std::size_t>(n));
    }
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
    return text;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
    const auto text = read_text(path);
    if (!text) return std::nullopt;
    return whole_number<std::uint64_t>(*text);
}

std::string sysfs_directory(dev_t rdev) {
    const std::unique_ptr<char, decltype(&std::free)> path(
        ::realpath(("/sys/dev/block/" + device_number(rdev)).c_str(), nullptr), &std::free);
    return path ? path.get() : "";
}

std::string kernel_holders(const std::string& sysfs) {
    std::string names;
    std::error_code error;
    if (sysfs.empty()) return names;
    for (const auto& entry : std::filesystem::directory_iterator(sysfs + "/holders", error))
        names += (names.empty() ? "" : ", ") + entry.path().filename().string();
    return names;
}

std::optional<std::string> uevent_value(const std::string& sysfs, const std::string& key) {
    return line_value(sysfs + "/uevent", key + "=");
}

std::optional<std::string> udev_value(dev_t rdev, const std::string& key) {
    return line_value("/run/udev/data/b" + device_number(rdev), "E:" + key + "=");
}

std::string device_node(dev_t rdev) {
    const auto name = uevent_value(sysfs_directory(rdev), "DEVNAME");
    if (!name) return "";
    const std::string path = "/dev/" + *name;
    struct stat st;
    if (::stat(path.c_str(), &st) != 0 || !S_ISBLK(st.st_mode) || st.st_rdev != rdev) return "";
    return path;
}

std::string unescape_octal(const std::string& text) {
    const auto digit = [&text](std::size_t at, char most) {
        return at < text.size() && text[at] >= '0' && text[at] <= most;
    };
    std::string plain;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] != '\\' || !digit(i + 1, '3') || !digit(i + 2, '7') || !digit(i + 3, '7')) {
            plain += text[i];
            continue;
        }
        plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                   (text[i + 3] - '0'));
        i += 3;
    }
    return plain;
}

std::string mounted_on(const std::string& path) {
    std::ifstream mountinfo("/proc/self/mountinfo");
    std::string line, topmost;
    while (std::getline(mountinfo, line)) {  // in the order in which they were mounted
        // id parent major:minor root point ...; one blank lies between two of them.
        std::istringstream words(line);
        std::array<std::string, 5> word;
        for (std::string& w : word) {
            std::getline(words, w, ' ');
        }
        if (unescape_octal(word[4]) == path) {
            topmost = word[2];
        }
    }
    return topmost;
}

std::string device_number(dev_t dev) {
    return std::to_string(major(dev)) + ":" + std::to_string(minor(dev));
}

}  // namespace dmremap
