// SPDX-License-Identifier: GPL-2.0-or-later
// The grammar of messages: what may be written to control/message, and later to `dmsetup message`.
//
//   help | status | stats | health | clear_stats
//   remap SECTOR [COUNT] | unmap SECTOR [COUNT] [force] | query SECTOR | salvage
//   scan start [SECTOR COUNT] | scan stop | scan pause | scan resume
//   set PARAM VALUE
//
// One line; words between blanks; numbers are decimal. Parsing is kept apart from carrying out
// (execute.h): it looks at nothing but the words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace dmremap {

enum class CommandVerb : std::uint8_t {
    help,
    status,
    stats,
    health,
    clear_stats,
    remap,
    unmap,
    query,
    salvage,
    scan,
    set,
};

struct Command {
    CommandVerb verb = CommandVerb::help;
    std::uint64_t sector = 0;
    std::uint64_t count = 1;  // sectors, never 0
    bool force = false;       // of unmap
    bool whole = false;       // of scan start: no range was given
    std::string parameter;    // of set
    std::string value;        // of set; of scan its second word
};

// Nothing when the words are wrong: `why` then says in a sentence what was expected.
std::optional<Command> parse_command(const std::string& message, std::string& why);

// May it have to wait for the devices?
bool command_blocks(const Command& command);

// The grammar, a line a form.
std::string command_help();

}  // namespace dmremap
