// SPDX-License-Identifier: GPL-2.0-or-later
// The control files of a disk that is up, read from its mount point.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

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

class Control {
public:
    explicit Control(std::string mount_point) : mount_point_(std::move(mount_point)) {}

    // The whole of control/NAME, without the newline at its end. Throws Refusal: who may not read
    // it, or a daemon that is gone, is said.
    std::string read(const std::string& name) const;

private:
    std::string mount_point_;
};

}  // namespace dmremap::ctl
