// SPDX-License-Identifier: GPL-2.0-or-later
// Messages carried out: the one place for control/message, the control files and dmremapctl.
#pragma once

#include <functional>
#include <string>

#include "core/command/command.h"
#include "core/command/parameter_table.h"
#include "core/disk.h"

namespace dmremap {

// What messages speak of; both outlive it.
struct CommandContext {
    Disk& disk;
    const ParameterTable& parameters;
    bool demo = false;
};

struct CommandAnswer {
    int error = 0;         // 0 or a positive errno
    std::string sentence;  // why, when there is an error
    std::string text;      // whole lines, mostly "name value"; also beside an error

    // All of it as a reader sees it: the text, then a line "error SENTENCE".
    std::string str() const { return error == 0 ? text : text + "error " + sentence + "\n"; }
};

// Blocks as long as the disk needs, if command_blocks(). `cancelled` is asked now and then during
// long work, which then ends where it is with ECANCELED; it may be null.
CommandAnswer execute_command(const CommandContext& context, const Command& command,
                              const std::function<bool()>& cancelled);

// How far a scan is: "DONE/TOTAL RATE ETA FOUND STATE", sectors, bytes a second (0: not known),
// seconds (-: not known), blocks; STATE is idle, running, paused or "waiting for SOMETHING".
std::string scan_line(const ScanProgress& scan);

}  // namespace dmremap
