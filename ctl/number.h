// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers among the operands.
#pragma once

#include <cstdint>
#include <string>

#include "core/refusal.h"
#include "core/whole_number.h"

namespace dmremap::ctl {

// Throws Refusal(usage); `what` names it for people.
inline std::uint64_t parse_number(const std::string& word, const char* what) {
    const auto number = whole_number<std::uint64_t>(word);
    if (!number)
        throw Refusal(RefusalKind::usage, "'" + word + "' is not " + what + ", a decimal number");
    return *number;
}

}  // namespace dmremap::ctl
