// SPDX-License-Identifier: GPL-2.0-or-later
// The control files of a disk that is up, read from its mount point.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/refusal.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

// The words of control/status; core/status_line.h; sizes in sectors.
struct StatusLine {
    std::uint64_t sectors = 0;
    std::string main, spare;
    std::uint64_t reads = 0, writes = 0, remaps = 0, errors = 0;
    std::uint64_t active_mappings = 0, io_ops = 0, total_time_ns = 0;
    std::string mode;  // "real" or "demo"
};

// Throws Refusal(system) when it is no status line.
StatusLine parse_status_line(const std::string& line);

using NameValue = std::pair<std::string, std::string>;

// "name value" lines, in their order; a line without a blank has the value "".
std::vector<NameValue> parse_name_values(const std::string& text);

// The name-value lines as an object; what is a whole number becomes one.
Json name_values_json(const std::vector<NameValue>& lines);

// What came of a message: its text, "name value" lines, and where it failed the errno and why.
struct MessageAnswer {
    int error = 0;
    std::string text;
    std::string sentence;
};

// Takes the line "error SENTENCE", if there is one, off the end of an answer.
MessageAnswer parse_answer(const std::string& text, int error);

// A line of control/remaps, as mount.dmremapfs(8) has it; sectors of 512 bytes.
struct RemapLine {
    std::uint64_t sector = 0, slot = 0, spare_sector = 0;
    std::string reason;
    std::uint64_t time = 0;  // Unix seconds
    std::uint8_t lost = 0, retry = 0;
};

// Nothing: it is the header, or no such line.
std::optional<RemapLine> parse_remap_line(const std::string& line);

class Control {
public:
    explicit Control(std::string mount_point) : mount_point_(std::move(mount_point)) {}

    // The whole of control/NAME, without the newline at its end. Throws Refusal: who may not read
    // it, or a daemon that is gone, is said.
    std::string read(const std::string& name) const;

    // Lines of control/NAME, one at a time: for what may be long.
    void read_lines(const std::string& name,
                    const std::function<void(const std::string&)>& each) const;

    // Whether the mount takes no messages, for it is read-only.
    bool read_only() const;

    // Whether the mode of control/NAME lets anybody write to it. Throws Refusal.
    bool takes_writes(const std::string& name) const;

    // Writes a message and reads its answer. Blocks as long as the disk needs, and as long as the
    // messages of others do: one at a time is written to control/message. Throws Refusal where
    // there is nobody to ask, or who asks may not.
    MessageAnswer ask(const std::string& message) const { return write("message", message); }

    // The same of a control file that stands for one kind of message: rescan, params/NAME. It waits
    // for nobody else's long message.
    MessageAnswer write(const std::string& name, const std::string& text) const;

    // The names in control/params, sorted.
    std::vector<std::string> parameters() const;

    const std::string& mount_point() const { return mount_point_; }

private:
    std::string mount_point_;
};

// A number of a message's answer, of stats and the like; 0 when it is not there.
std::uint64_t number_of(const std::vector<NameValue>& lines, const std::string& name);

// The disk that is up on this target. Throws Refusal: no such target, or it is not up.
Control find_control(const std::string& target);

// Of an answer with an error: what the program exits with, and says.
Refusal refusal_of(const MessageAnswer& answer);

}  // namespace dmremap::ctl
