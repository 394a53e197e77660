// SPDX-License-Identifier: GPL-2.0-or-later
// Ctrl-C and SIGTERM as a wish to end in order: what was done so far is still said.
#pragma once

#include <csignal>

namespace dmremap::ctl {

// From its making on to the end of the program, for a verb that asks wanted() now and then. System
// calls under way end with EINTR.
class Interruption {
public:
    Interruption() {
        struct sigaction action {};
        action.sa_handler = [](int) { came = 1; };
        ::sigaction(SIGINT, &action, nullptr);
        ::sigaction(SIGTERM, &action, nullptr);
    }
    bool wanted() const { return came != 0; }

private:
    static inline volatile std::sig_atomic_t came = 0;
};

}  // namespace dmremap::ctl
