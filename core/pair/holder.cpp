// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/holder.h"

#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <optional>
#include <sstream>

#include "core/device/kernel_text.h"
#include "core/pair/identity.h"

namespace dmremap {

namespace {

std::array<std::uint8_t, 16> machine() {
    std::string id = read_text("/etc/machine-id").value_or("");
    // What systemd writes into images that have not been started yet.
    if (id == "uninitialized") id.clear();
    if (id.empty()) id = read_text("/sys/class/dmi/id/product_uuid").value_or("");
    utsname names{};
    if (id.empty() && ::uname(&names) == 0) id = names.nodename;
    const Digest digest = sha256(id);
    std::array<std::uint8_t, 16> half;
    std::copy_n(digest.begin(), half.size(), half.begin());
    return half;
}

// The 32 digits of the kernel's UUID of this boot; zeros where it does not tell.
std::array<std::uint8_t, 16> boot() {
    std::array<std::uint8_t, 16> id{};
    std::size_t digits = 0;
    for (const char c : read_text("/proc/sys/kernel/random/boot_id").value_or("")) {
        if (!std::isxdigit(static_cast<unsigned char>(c)) || digits == 32) continue;
        const int value = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        id[digits / 2] = static_cast<std::uint8_t>(id[digits / 2] << 4 | value);
        ++digits;
    }
    return id;
}

struct Process {
    std::uint64_t start = 0;
    bool ended = false;  // a zombie whose last thread is gone: it holds nothing open any more
};

std::optional<Process> look_at(std::uint64_t pid) {
    const auto text = read_text("/proc/" + std::to_string(pid) + "/stat");
    // The second field is the name, in parentheses, and may hold anything.
    const std::size_t name_end = text ? text->rfind(')') : std::string::npos;
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(text->substr(name_end + 1));
    std::string state, skipped;
    fields >> state;  // field 3
    for (int field = 4; field < 20; ++field) fields >> skipped;
    std::uint64_t threads = 0;
    Process process;
    fields >> threads >> skipped >> process.start;  // fields 20 to 22
    if (!fields) return std::nullopt;
    process.ended = (state == "Z" || state == "X") && threads <= 1;
    return process;
}

bool exists(std::uint64_t pid) { return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH; }

}  // namespace

Holder this_holder(const std::string& name) {
    Holder holder;
    holder.machine = machine();
    holder.boot = boot();
    holder.pid = static_cast<std::uint64_t>(::getpid());
    if (const auto process = look_at(holder.pid)) holder.start = process->start;
    holder.name = name.substr(0, 31);
    return holder;
}

HolderVerdict judge(const Holder& recorded) {
    const Holder here = this_holder("");
    const bool boot_known = here.boot != std::array<std::uint8_t, 16>{};
    // The same boot is the same kernel, whatever a container says its machine is.
    if (!boot_known || recorded.boot != here.boot) {
        if (recorded.machine != here.machine) return HolderVerdict::other_machine;
        return boot_known ? HolderVerdict::earlier_boot : HolderVerdict::alive;
    }
    if (recorded.pid == here.pid && recorded.start == here.start) return HolderVerdict::ours;
    // No process has such a number, and kill() would take it for a group or for all.
    if (recorded.pid == 0 || recorded.pid > 0x7fffffff) return HolderVerdict::dead;
    const auto process = look_at(recorded.pid);
    // Others' processes can be hidden from us (hidepid); then being there has to do.
    if (!process) return exists(recorded.pid) ? HolderVerdict::alive : HolderVerdict::dead;
    const bool same = process->start == recorded.start && !process->ended;
    return same ? HolderVerdict::alive : HolderVerdict::dead;
}

}  // namespace dmremap
