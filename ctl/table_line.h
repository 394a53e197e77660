// SPDX-License-Identifier: GPL-2.0-or-later
// The line of a device-mapper table. Two readers take it apart, one after the other. dmsetup ends
// it at a line feed and at "#", and drops white space at its end, knowing no escape. The kernel
// parts it at white space and takes whatever follows a backslash as it is. So a blank in a path
// becomes
// "\ "; what dmsetup would cut no escape can save, and it is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dmremap::ctl {

inline constexpr std::string_view kTargetType = "dm-remap-v4";

// "0 SECTORS dm-remap-v4 MAIN SPARE". Throws Refusal(refused) for a path that no table can hold.
std::string table_line(std::uint64_t sectors, const std::string& main, const std::string& spare);

// Of such a line what follows the target's type: to the kernel, start, length and type are no
// words.
std::string table_parameters(const std::string& line);

}  // namespace dmremap::ctl
