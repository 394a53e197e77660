// SPDX-License-Identifier: GPL-2.0-or-later
// The words after the verb, taken apart: options (Boost.Program_options) and operands.
#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <string>
#include <vector>

namespace dmremap::ctl {

struct Verb;

using OptionDeclarations = boost::program_options::options_description;

class Arguments {
public:
    // Throws Refusal(usage) with a sentence that names the word and the verb's help.
    static Arguments parse(const Verb& verb, const std::vector<std::string>& words);

    bool has(const std::string& option) const { return values_.count(option) != 0; }
    std::string value(const std::string& option) const;  // "" when not given
    const std::vector<std::string>& operands() const { return operands_; }

private:
    boost::program_options::variables_map values_;
    std::vector<std::string> operands_;
};

// The verb's own options and those all verbs have, for parsing and for the help.
OptionDeclarations verb_options(const Verb& verb);

// Is this option among the words, before a "--"? For what must be known although parsing fails.
bool mentions(const std::vector<std::string>& words, const std::string& option);

}  // namespace dmremap::ctl
