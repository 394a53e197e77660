// SPDX-License-Identifier: GPL-2.0-or-later
// The disks that are up: what /proc/self/mountinfo says of file systems of type fuse.dmremapfs.
#pragma once

#include <istream>
#include <string>
#include <vector>

namespace dmremap::ctl {

struct Mount {
    std::string point;
    std::string main;  // the mount's source
};

// Lines that cannot be understood are passed over: they are not ours.
std::vector<Mount> parse_mountinfo(std::istream& mountinfo);

// Of this process's name space. Throws Refusal(system).
std::vector<Mount> disks_up();

}  // namespace dmremap::ctl
