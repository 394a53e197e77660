// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/unmounter.h"

#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/device/kernel_text.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

constexpr int kRetryMilliseconds = 2000;

sigset_t requests_to_end() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
    return set;
}

// As a user, the setuid helper unmounts what it has mounted.
bool unmount_by_helper(const std::string& mountpoint) {
    std::array<std::string, 5> words = {"fusermount3", "-u", "-q", "--", mountpoint};
    std::array<char*, 6> argv{};
    for (std::size_t i = 0; i < words.size(); i++) argv[i] = words[i].data();

    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t child = 0;
    const int error = posix_spawnp(&child, argv[0], nullptr, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        spdlog::error("fusermount3 cannot be run: {}", std::strerror(error));
        return false;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void Unmounter::block_signals() {
    sigset_t set = requests_to_end();
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Unmounter::Unmounter(std::string mountpoint) : mountpoint_(std::move(mountpoint)) {
    const sigset_t set = requests_to_end();
    signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!signals_ || !wake_)
        throw Refusal(RefusalKind::system,
                      std::string("signals cannot be received: ") + std::strerror(errno));
}

Unmounter::~Unmounter() {
    stop_ = true;
    disk_closed();
    if (thread_.joinable()) thread_.join();
}

void Unmounter::start() {
    mounted_ = mounted_on(mountpoint_);
    thread_ = std::thread([this] { run(); });
}

void Unmounter::disk_closed() { eventfd_write(wake_.get(), 1); }

bool Unmounter::signal_came() {
    bool came = false;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        spdlog::info("got signal {} from process {}: unmounting {}", info.ssi_signo, info.ssi_pid,
                     mountpoint_);
        came = true;
    }
    return came;
}

bool Unmounter::unmount() const {
    if (geteuid() != 0) return unmount_by_helper(mountpoint_);
    return ::umount2(mountpoint_.c_str(), UMOUNT_NOFOLLOW) == 0;
}

void Unmounter::run() {
    bool wanted = false;
    while (!stop_) {
        std::array<pollfd, 2> ready = {pollfd{signals_.get(), POLLIN, 0},
                                       pollfd{wake_.get(), POLLIN, 0}};
        ::poll(ready.data(), ready.size(), wanted ? kRetryMilliseconds : -1);
        eventfd_t ignored = 0;
        eventfd_read(wake_.get(), &ignored);
        const bool came = signal_came();
        if (stop_ || !(wanted || came)) continue;
        const bool topmost = mounted_on(mountpoint_) == mounted_;
        wanted = !topmost || !unmount();
        if (wanted && came)
            spdlog::warn("{} {}: going on until its last user has left", mountpoint_,
                         topmost ? "is in use" : "has something else mounted over it");
    }
}

}  // namespace dmremap
