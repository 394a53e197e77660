// SPDX-License-Identifier: GPL-2.0-or-later
// Which calls fail, and how: the rules behind a fault device. Grammar: FAULTS.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dmremap {

class FaultPlan {
public:
    // Parses a whole text; throws Refusal(usage) naming the line and what was expected.
    static std::shared_ptr<FaultPlan> parse(const std::string& text);
    static std::shared_ptr<FaultPlan> load(const std::string& path);

    virtual ~FaultPlan() = default;

    // Applies further lines (as control/inject does), all or none; throws Refusal(usage).
    // Lines that take rules back ("clear", "clear main", "heal main 2048+8") are understood too.
    virtual void apply(const std::string& text) = 0;

    // The rules in force, in the grammar of the file, with what is left of their counts.
    virtual std::string describe() const = 0;
};

}  // namespace dmremap
