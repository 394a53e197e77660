// SPDX-License-Identifier: GPL-2.0-or-later
// The proof by crash points: lives are recorded, cut everywhere, and every state is judged, until
// so many states have been, or so many seconds are over.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "tests/crash/judge.h"

namespace dmremap::test {

struct Goal {
    std::uint64_t first_seed = 1;
    std::uint64_t states = 0;  // 0: as many as the seconds give
    double seconds = 0;
    std::uint64_t states_of_life = 0;  // of one recording, chosen by chance; 0: all of them
    std::string path;                  // not empty: only this state of the first seed
    std::uint64_t signature = 0;       // of the tape the path was found on; 0: any
};

// "" or all about the first failure, with the command that repeats it. The summary goes to `out`.
std::string prove(const Profile& profile, const Goal& goal, std::ostream& out);

}  // namespace dmremap::test
