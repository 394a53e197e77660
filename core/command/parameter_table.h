// SPDX-License-Identifier: GPL-2.0-or-later
// All parameters that can be set by name: those of the disk, and those that a front end adds.
// A flag reads as Y or N, as in sysfs; anything else is a decimal number.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/disk.h"

namespace dmremap {

struct TableParameter {
    std::string name;
    bool flag;
    std::uint32_t least, most;
    std::string meaning;
    std::function<std::uint32_t()> get;               // any thread
    std::function<int(std::uint32_t)> set = nullptr;  // 0 or a positive errno; null: read-only
};

class ParameterTable {
public:
    // Begins with the parameters of the disk, which must outlive it.
    explicit ParameterTable(Disk& disk);

    void add(TableParameter parameter) { parameters_.push_back(std::move(parameter)); }

    const std::vector<TableParameter>& all() const { return parameters_; }
    const TableParameter* find(const std::string& name) const;

    // 0, or a positive errno and in `why` a sentence on what was expected.
    int set(const std::string& name, const std::string& value, std::string& why) const;

private:
    std::vector<TableParameter> parameters_;
};

std::string parameter_text(const TableParameter& parameter);  // its value, without a newline

}  // namespace dmremap
