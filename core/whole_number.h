// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers in words that people and the kernel write.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace dmremap {

// The whole word as an unsigned number: digits of this base and nothing else, no sign, no blank, no
// unit. Nothing where it is none, or does not fit.
template <typename Number>
std::optional<Number> whole_number(std::string_view word, int base = 10) {
    Number number = 0;
    const char* const end = word.data() + word.size();
    const auto [rest, error] = std::from_chars(word.data(), end, number, base);
    if (error != std::errc() || rest != end) return std::nullopt;
    return number;
}

}  // namespace dmremap
