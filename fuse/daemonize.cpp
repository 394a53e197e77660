// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/daemonize.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/refusal.h"
#include "fuse/exit_codes.h"

namespace dmremap {

namespace {

[[noreturn]] void refuse(const char* what) {
    throw Refusal(RefusalKind::system, std::string(what) + ": " + std::strerror(errno));
}

[[noreturn]] void wait_for(pid_t child, UniqueFd from_child) {
    char byte = 0;
    ssize_t got = 0;
    do got = ::read(from_child.get(), &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1) _exit(kExitMounted);

    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFSIGNALED(status))
        std::fprintf(stderr,
                     "dmremapfs: the daemon was ended by signal %d (%s) before the mount"
                     " worked\n",
                     WTERMSIG(status), strsignal(WTERMSIG(status)));
    const bool spoke = WIFEXITED(status) && WEXITSTATUS(status) != kExitMounted;
    _exit(spoke ? WEXITSTATUS(status) : kExitSystem);
}

}  // namespace

Background::Background() {
    // What the caller left open would stay open for as long as the mount, its pipes included.
    ::close_range(STDERR_FILENO + 1, ~0u, 0);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) refuse("no pipe to the daemon");
    UniqueFd from_child(ends[0]);
    parent_ = UniqueFd(ends[1]);

    const pid_t child = ::fork();
    if (child < 0) refuse("no process for the daemon");
    if (child > 0) {
        parent_ = UniqueFd();
        wait_for(child, std::move(from_child));
    }
    ::setsid();
}

void Background::ready() {
    const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (nothing) ::dup2(nothing.get(), standard);
    if (::write(parent_.get(), "", 1) != 1)
        spdlog::debug("nobody waited for the mount: {}", std::strerror(errno));
    parent_ = UniqueFd();
}

}  // namespace dmremap
