// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/control.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/refusal.h"
#include "ctl/mounts.h"

namespace dmremap::ctl {

namespace {

Json number_or_text(const std::string& text) {
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && rest == end && !text.empty()) return number;
    return text;
}

std::string read_error(const std::string& path, int error) {
    const std::string start = path + " cannot be read: ";
    if (error == ENOTCONN)
        return start + "the dmremapfs behind it is gone; unmount it with fusermount3 -u and " +
               "mount it again";
    if (error == EACCES || error == EPERM)
        return start + "it belongs to another user, only that user or root may look";
    return start + std::strerror(error);
}

}  // namespace

StatusLine parse_status_line(const std::string& line) {
    std::istringstream words(line);
    StatusLine status;
    std::uint64_t start = 0;
    std::string target, version;
    words >> start >> status.sectors >> target >> version >> status.main >> status.spare >>
        status.reads >> status.writes >> status.remaps >> status.errors >> status.active_mappings >>
        status.io_ops >> status.total_time_ns >> status.mode;
    if (!words || target != "dm-remap-v4")
        throw Refusal(RefusalKind::system,
                      "this is no status line of a dm-remap disk: '" + line + "'");
    status.main = unescape_octal(status.main);
    status.spare = unescape_octal(status.spare);
    return status;
}

std::vector<NameValue> parse_name_values(const std::string& text) {
    std::vector<NameValue> result;
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
        if (line.empty()) continue;
        const auto blank = line.find(' ');
        result.emplace_back(line.substr(0, blank),
                            blank == std::string::npos ? "" : line.substr(blank + 1));
    }
    return result;
}

Json name_values_json(const std::vector<NameValue>& lines) {
    Json result = Json::object();
    for (const auto& [name, value] : lines) result[name] = number_or_text(value);
    return result;
}

std::string Control::read(const std::string& name) const {
    const std::string path = mount_point_ + "/control/" + name;
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Refusal(RefusalKind::system, read_error(path, errno));
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (file.bad()) throw Refusal(RefusalKind::system, read_error(path, errno));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

}  // namespace dmremap::ctl
