// SPDX-License-Identifier: GPL-2.0-or-later
// What a TARGET names: with a slash a mount point or, offline, a spare; else a device-mapper name.
#pragma once

#include <string>

namespace dmremap::ctl {

struct Target {
    enum class Kind { mount, spare };
    Kind kind;
    std::string path;  // a mount point as the kernel writes it, or the spare's path as given
};

// Throws Refusal(not_found) with a sentence on what the word is instead.
Target find_target(const std::string& word);

}  // namespace dmremap::ctl
