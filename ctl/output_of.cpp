// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/output_of.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "core/device/unique_fd.h"

namespace dmremap::ctl {

namespace {

constexpr pid_t kNone = -1;

// In a process group of its own, its standard output in `out`.
pid_t spawn(const std::vector<std::string>& words, int out) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::vector<std::string> copies = words;
    std::vector<char*> arguments;
    for (std::string& word : copies) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = kNone;
    if (posix_spawnp(&child, arguments.front(), &files, &attributes, arguments.data(), environ) !=
        0)
        child = kNone;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return child;
}

// False: not all of it, in this time and this size.
bool read_all(int from, std::string& printed, std::size_t most,
              std::chrono::steady_clock::time_point end) {
    std::array<char, 4096> buffer{};
    while (printed.size() <= most) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        pollfd ready{from, POLLIN, 0};
        const int n = poll(&ready, 1, static_cast<int>(std::max<long long>(left.count(), 0)));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        const ssize_t got = read(from, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        printed.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return false;
}

}  // namespace

std::string output_of(const std::vector<std::string>& words, std::size_t most,
                      std::chrono::milliseconds time) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return "";
    const UniqueFd from(ends[0]);
    UniqueFd to(ends[1]);
    const pid_t child = spawn(words, to.get());
    to = UniqueFd();
    if (child == kNone) return "";
    std::string printed;
    const bool all = read_all(from.get(), printed, most, std::chrono::steady_clock::now() + time);
    kill(-child, SIGKILL);
    waitpid(child, nullptr, WNOHANG);
    return all ? printed : "";
}

}  // namespace dmremap::ctl
