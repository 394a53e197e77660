// SPDX-License-Identifier: GPL-2.0-or-later
// What a drive says of itself, by smartctl of smartmontools where there is one.
#pragma once

#include <string>

#include "ctl/verb.h"

namespace dmremap::ctl {

// An object of a few facts of the drive at this path; null for what is no block device, without
// smartctl in PATH, or where it may not or cannot say anything. Takes ten seconds at most, also on
// a drive that does not answer.
Json smart_facts(const std::string& path);

// The facts in what smartctl --json printed, whatever that is: numbers, and `passed`, true or
// false. Null when there are none.
Json smart_facts_of(const std::string& printed);

}  // namespace dmremap::ctl
