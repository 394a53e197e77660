// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/control.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/device/kernel_text.h"
#include "core/device/unique_fd.h"
#include "core/whole_number.h"
#include "ctl/target.h"

namespace dmremap::ctl {

namespace {

Json number_or_text(const std::string& text) {
    if (const auto number = whole_number<std::uint64_t>(text)) return *number;
    return text;
}

std::string access_error(const std::string& path, const char* verb, int error) {
    const std::string start = path + " cannot be " + verb + ": ";
    if (error == ENOTCONN)
        return start + "the dmremapfs behind it is gone; unmount it with fusermount3 -u and " +
               "mount it again";
    if (error == EACCES || error == EPERM)
        return start + "it belongs to another user, only that user or root may";
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
    if (!file) throw Refusal(RefusalKind::system, access_error(path, "read", errno));
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (file.bad()) throw Refusal(RefusalKind::system, access_error(path, "read", errno));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

void Control::read_lines(const std::string& name,
                         const std::function<void(const std::string&)>& each) const {
    const std::string path = mount_point_ + "/control/" + name;
    errno = 0;
    // The daemon answers a large read as fast as a small one.
    std::vector<char> buffer(1u << 20);
    std::ifstream file;
    file.rdbuf()->pubsetbuf(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    file.open(path, std::ios::binary);
    if (!file) throw Refusal(RefusalKind::system, access_error(path, "read", errno));
    for (std::string line; std::getline(file, line);) each(line);
    if (file.bad()) throw Refusal(RefusalKind::system, access_error(path, "read", errno));
}

std::optional<RemapLine> parse_remap_line(const std::string& line) {
    RemapLine remap;
    const char* at = line.data();
    const char* const end = at + line.size();
    bool right = true;
    const auto number = [&](auto& to, int base) {
        while (at != end && *at == ' ') at++;
        if (base == 16 && end - at > 2 && at[0] == '0' && at[1] == 'x') at += 2;
        const auto [rest, error] = std::from_chars(at, end, to, base);
        right = right && error == std::errc();
        at = rest;
    };
    number(remap.sector, 10);
    number(remap.slot, 10);
    number(remap.spare_sector, 10);
    while (at != end && *at == ' ') at++;
    const char* const word = at;
    while (at != end && *at != ' ') at++;
    remap.reason.assign(word, at);
    number(remap.time, 10);
    number(remap.lost, 16);
    number(remap.retry, 16);
    if (!right || at != end) return std::nullopt;
    return remap;
}

bool Control::read_only() const {
    return ::access((mount_point_ + "/control/message").c_str(), W_OK) != 0 && errno == EROFS;
}

bool Control::takes_writes(const std::string& name) const {
    const std::string path = mount_point_ + "/control/" + name;
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0)
        throw Refusal(RefusalKind::system, access_error(path, "read", errno));
    return (file.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) != 0;
}

MessageAnswer parse_answer(const std::string& text, int error) {
    MessageAnswer answer{error, text, ""};
    if (error == 0) return answer;
    constexpr std::string_view kError = "error ";
    auto line = text.rfind("\nerror ");
    line = line == std::string::npos ? 0 : line + 1;
    if (text.compare(line, kError.size(), kError) == 0) {
        answer.sentence = text.substr(line + kError.size());
        while (answer.sentence.ends_with('\n')) answer.sentence.pop_back();
        answer.text.resize(line);
    }
    if (answer.sentence.empty()) answer.sentence = std::strerror(error);
    return answer;
}

MessageAnswer Control::write(const std::string& name, const std::string& text) const {
    const std::string path = mount_point_ + "/control/" + name;
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!file) throw Refusal(RefusalKind::system, access_error(path, "written", errno));
    const std::string line = text + "\n";
    const ssize_t written = ::pwrite(file.get(), line.data(), line.size(), 0);
    const int error = written < 0 ? errno : 0;
    if (error == ENOTCONN || error == ECONNABORTED)
        throw Refusal(RefusalKind::system, access_error(path, "written", ENOTCONN));
    // The answer is behind what was written, also of a write that failed.
    auto at = static_cast<off_t>(line.size());
    std::string answer;
    std::array<char, 65536> buffer{};
    ssize_t got = 0;
    while ((got = ::pread(file.get(), buffer.data(), buffer.size(), at)) > 0) {
        answer.append(buffer.data(), static_cast<std::size_t>(got));
        at += got;
    }
    // Without its answer nobody knows what came of the message.
    if (got < 0) throw Refusal(RefusalKind::system, access_error(path, "read", errno));
    return parse_answer(answer, error);
}

std::vector<std::string> Control::parameters() const {
    const std::string path = mount_point_ + "/control/params";
    std::error_code error;
    std::vector<std::string> names;
    for (std::filesystem::directory_iterator at(path, error), end; !error && at != end;
         at.increment(error))
        names.push_back(at->path().filename());
    if (error) throw Refusal(RefusalKind::system, access_error(path, "read", error.value()));
    std::sort(names.begin(), names.end());
    return names;
}

std::uint64_t number_of(const std::vector<NameValue>& lines, const std::string& name) {
    for (const auto& [key, value] : lines) {
        const Json number = number_or_text(value);
        if (key == name && number.is_number()) return number.get<std::uint64_t>();
    }
    return 0;
}

Control find_control(const std::string& target) {
    const Target found = find_target(target);
    if (found.kind == Target::Kind::mount) return Control(found.path);
    throw Refusal(RefusalKind::refused,
                  target + " is a spare that is not up; mount the disk and name its mount point");
}

Refusal refusal_of(const MessageAnswer& answer) {
    return {answer.error == EBUSY ? RefusalKind::busy : RefusalKind::refused, answer.sentence};
}

}  // namespace dmremap::ctl
