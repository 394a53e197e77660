// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/command/parameter_table.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/command/quoted.h"
#include "core/whole_number.h"

namespace dmremap {

namespace {

std::optional<std::uint32_t> parse_flag(const std::string& text) {
    for (const char* yes : {"Y", "y", "1", "on"})
        if (text == yes) return 1;
    for (const char* no : {"N", "n", "0", "off"})
        if (text == no) return 0;
    return std::nullopt;
}

std::string expected(const TableParameter& parameter) {
    if (parameter.flag) return "Y or N";
    return "a number from " + std::to_string(parameter.least) + " to " +
           std::to_string(parameter.most);
}

}  // namespace

ParameterTable::ParameterTable(Disk& disk) {
    for (const ParameterRule& rule : parameter_rules())
        add({rule.name, rule.flag, rule.least, rule.most, rule.meaning,
             [&disk, &rule] { return rule.get(disk.parameters()); },
             [&disk, &rule](std::uint32_t value) { return disk.set_parameter(rule, value); }});
}

const TableParameter* ParameterTable::find(const std::string& name) const {
    const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                    [&name](const auto& known) { return known.name == name; });
    return found == parameters_.end() ? nullptr : &*found;
}

int ParameterTable::set(const std::string& name, const std::string& value, std::string& why) const {
    const TableParameter* const parameter = find(name);
    if (!parameter) {
        why = "there is no such parameter; expected one of";
        for (const TableParameter& known : parameters_) why += " " + known.name;
        return ENOENT;
    }
    if (!parameter->set) {
        why = name + " cannot be changed while the disk is open";
        return EPERM;
    }
    const auto number = parameter->flag ? parse_flag(value) : whole_number<std::uint32_t>(value);
    if (!number || *number < parameter->least || *number > parameter->most) {
        why = name + " takes " + expected(*parameter) + ", not " + quoted(value);
        return EINVAL;
    }
    const int error = parameter->set(*number);
    if (error != 0) why = name + " could not be changed: " + std::strerror(error);
    return error;
}

std::string parameter_text(const TableParameter& parameter) {
    const std::uint32_t value = parameter.get();
    if (parameter.flag) return value != 0 ? "Y" : "N";
    return std::to_string(value);
}

}  // namespace dmremap
