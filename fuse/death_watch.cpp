// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/death_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <utility>

#include "core/device/kernel_text.h"

namespace dmremap {

namespace {

constexpr int kDeath = SIGUSR1;  // what the kernel sends then

// Of the file system with this number, if it is still what is mounted there.
void abort_connection(const std::string& mountpoint, const std::string& number) {
    if (number.empty() || mounted_on(mountpoint) != number) return;
    const std::string path =
        "/sys/fs/fuse/connections/" + number.substr(number.find(':') + 1) + "/abort";
    const UniqueFd control(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (control && ::write(control.get(), "1", 1) == 1) return;
    // The same, and it stays mounted, dead, for it is in use from here.
    const UniqueFd use(::open(mountpoint.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (use) ::umount2(mountpoint.c_str(), MNT_FORCE | UMOUNT_NOFOLLOW);
}

// The daemon says what the mount point is, and a zero byte once it ends in order; each in one
// piece.
[[noreturn]] void watch(pid_t daemon, UniqueFd from_daemon) {
    sigset_t death;
    sigemptyset(&death);
    sigaddset(&death, kDeath);
    ::sigprocmask(SIG_BLOCK, &death, nullptr);
    const UniqueFd signals(::signalfd(-1, &death, SFD_CLOEXEC));
    ::prctl(PR_SET_PDEATHSIG, kDeath);
    std::string mountpoint, number;
    bool dead = !signals || ::getppid() != daemon;
    while (!dead) {
        std::array<pollfd, 2> ready = {pollfd{signals.get(), POLLIN, 0},
                                       pollfd{from_daemon.get(), POLLIN, 0}};
        if (::poll(ready.data(), ready.size(), -1) < 0) continue;
        dead = ready[0].revents != 0;
        if (dead || ready[1].revents == 0) continue;
        std::array<char, PATH_MAX> text;
        const ssize_t length = ::read(from_daemon.get(), text.data(), text.size());
        if (length == 1 && text[0] == '\0') ::_exit(0);  // in order
        dead = length <= 0;
        if (dead) continue;
        mountpoint.assign(text.data(), static_cast<std::size_t>(length));
        number = mounted_on(mountpoint);
    }
    abort_connection(mountpoint, number);
    ::_exit(0);
}

}  // namespace

DeathWatch::DeathWatch() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        spdlog::warn("nobody watches over this daemon: {}", std::strerror(errno));
        return;
    }
    UniqueFd from_daemon(ends[0]);
    to_process_ = UniqueFd(ends[1]);
    const pid_t daemon = ::getpid();
    process_ = ::fork();
    if (process_ < 0) {
        spdlog::warn("nobody watches over this daemon: {}", std::strerror(errno));
        to_process_ = UniqueFd();
    } else if (process_ == 0) {
        const int kept = from_daemon.get();
        if (kept > 0) ::close_range(0, static_cast<unsigned>(kept) - 1, 0);
        ::close_range(static_cast<unsigned>(kept) + 1, ~0u, 0);
        watch(daemon, std::move(from_daemon));
    }
}

DeathWatch::~DeathWatch() {
    if (!to_process_) return;
    if (::write(to_process_.get(), "", 1) == 1)
        while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) continue;
}

void DeathWatch::mounted(const std::string& mountpoint) {
    if (to_process_ && ::write(to_process_.get(), mountpoint.data(), mountpoint.size()) < 0)
        spdlog::warn("nobody watches over this daemon: {}", std::strerror(errno));
}

}  // namespace dmremap
