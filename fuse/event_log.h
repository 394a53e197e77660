// SPDX-License-Identifier: GPL-2.0-or-later
// Where the daemon's words go: to the terminal until the mount works, to syslog from the moment it
// is in the background.
//
// Use spdlog's default logger (spdlog::info and so on) from any thread while an EventLog lives. It
// hands lines over to a thread of its own and drops the oldest when that cannot keep up: whoever
// serves the disk must never wait for syslogd, which may be waiting for this very disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/events.h"

namespace dmremap {

class EventLog {
public:
    // Starts a thread. `level` as in MountOptions, "" for the usual: everything of note to syslog
    // or, in the foreground, to the terminal; only warnings to the terminal on the way to the
    // background.
    EventLog(const std::string& program, const std::string& level, bool foreground);
    ~EventLog();  // writes out what is pending
    EventLog(const EventLog&) = delete;
    EventLog& operator=(const EventLog&) = delete;

    void leave_terminal();

    // params/dm_remap_debug: 0 the level given at first, 1 info, 2 debug, 3 trace. Any thread.
    void set_debug(std::uint32_t value);

private:
    struct Sinks;
    std::unique_ptr<Sinks> sinks_;
};

// Logs what the core reports, at the level the kind of event deserves. Does not block.
void log_event(const Event& event);

}  // namespace dmremap
