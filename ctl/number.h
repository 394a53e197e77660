// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers among the operands.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>

#include "core/refusal.h"

namespace dmremap::ctl {

// Throws Refusal(usage); `what` names it for people.
inline std::uint64_t parse_number(const std::string& word, const char* what) {
    std::uint64_t number = 0;
    const char* const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, number);
    if (error != std::errc() || rest != end)
        throw Refusal(RefusalKind::usage, "'" + word + "' is not " + what + ", a decimal number");
    return number;
}

}  // namespace dmremap::ctl
