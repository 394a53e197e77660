// SPDX-License-Identifier: GPL-2.0-or-later
// What a fuzz target says when something is wrong: one line, then it dies where a debugger, the
// fuzzer and the replay can all see it.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace dmremap::fuzz {

inline void check(bool holds, const std::string& what) {
    if (holds) return;
    std::fprintf(stderr, "WRONG: %s\n", what.c_str());
    std::abort();
}

// The same where the words would cost more than the check.
inline void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "WRONG: %s\n", what);
    std::abort();
}

}  // namespace dmremap::fuzz
