// SPDX-License-Identifier: GPL-2.0-or-later
// Going into the background, so that the command returns only when the mount works.
//
// Forks before any thread exists. The parent stays, says nothing itself (the child still has the
// terminal for its one sentence), and ends with 0 when the child calls ready(), else with the
// child's exit code. Only the child returns from the constructor.
#pragma once

#include "core/device/unique_fd.h"

namespace dmremap {

class Background {
public:
    // Throws Refusal(system) when it cannot fork. Never returns in the parent.
    Background();

    // The mount works: lets the parent go and leaves the terminal. Once, any thread.
    void ready();

private:
    UniqueFd parent_;
};

}  // namespace dmremap
