// SPDX-License-Identifier: GPL-2.0-or-later
// The persistent parameters as a user changes them: by name, each within its range.
#pragma once

#include <cstdint>
#include <span>

#include "core/parameters.h"

namespace dmremap {

struct ParameterRule {
    const char* name;  // stable: a file's name, and a word of the `set` message
    bool flag;         // Y or N
    std::uint32_t least, most;
    const char* meaning;  // a line for people
    std::uint32_t (*get)(const Parameters& parameters);
    void (*set)(Parameters& parameters, std::uint32_t value);
};

// In the order of the manual.
std::span<const ParameterRule> parameter_rules();

}  // namespace dmremap
