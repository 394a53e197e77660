// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/self_protection.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/device/unique_fd.h"

namespace dmremap {

namespace {

void note(const char* what, int error) {
    if (error != 0) spdlog::debug("{}: {}", what, std::strerror(error));
}

int spare_from_oom_killer() {
    constexpr char kNever[] = "-1000";
    const UniqueFd file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    if (file.get() < 0) return errno;
    return ::write(file.get(), kNever, sizeof kNever - 1) < 0 ? errno : 0;
}

// Only with no limit on locked memory: under one, MCL_FUTURE makes later allocations fail.
int lock_memory() {
    const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &unlimited) != 0) return errno;
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 ? errno : 0;
}

}  // namespace

void hide_from_shutdown_killer(char* argv0) {
    if (geteuid() == 0 && argv0 && argv0[0] != '\0') argv0[0] = '@';
}

void protect_from_memory_pressure() {
    note("PR_SET_IO_FLUSHER", prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0 ? errno : 0);
    note("oom_score_adj", spare_from_oom_killer());
    note("mlockall", lock_memory());
}

}  // namespace dmremap
