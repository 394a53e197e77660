// SPDX-License-Identifier: GPL-2.0-or-later
// Who holds a pair: this machine, this boot, this process. Written into the superblock's in-use
// mark and judged by the next opener.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace dmremap {

struct Holder {
    std::array<std::uint8_t, 16> machine{};  // first half of SHA-256 over the machine's id
    std::array<std::uint8_t, 16> boot{};     // the kernel's boot_id
    std::uint64_t pid = 0;
    std::uint64_t start = 0;  // of the process, in clock ticks since boot (/proc/PID/stat)
    std::string name;         // at most 31 bytes
};

// This process. The machine's id is /etc/machine-id, else the board's UUID, else the host name.
Holder this_holder(const std::string& name);

enum class HolderVerdict {
    ours,           // this very process
    earlier_boot,   // this machine, before its last start: dead
    dead,           // this machine, this boot, and no such process any more
    alive,          // this machine, this boot, and the process is there
    other_machine,  // cannot be known
};

HolderVerdict judge(const Holder& recorded);

}  // namespace dmremap
