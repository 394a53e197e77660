// SPDX-License-Identifier: GPL-2.0-or-later
// What a verb is. Each has a file verb_NAME.cpp that defines one Verb; verbs.cpp lists them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/arguments.h"
#include "ctl/exit_code.h"

namespace dmremap::ctl {

using Json = nlohmann::ordered_json;  // keys in the order of the manual

// What a verb has to say. The program prints the JSON with --json, else the text.
struct Answer {
    int exit_code = 0;
    Json json = Json::object();
    std::string text;                // whole lines
    std::vector<std::string> notes;  // for stderr, and "notes" of the JSON
    std::string complaint;           // why exit_code is not 0, where there is text nevertheless
    RefusalKind complaint_kind = RefusalKind::refused;
};

struct Verb {
    std::string_view name;
    std::string_view usage;  // what follows the name on a command line
    std::string_view help;   // one line
    unsigned operands_min;
    unsigned operands_max;
    void (*declare)(OptionDeclarations& options);  // all but --json and --help; may be null
    ExitCodes exit_codes;
    Answer (*run)(const Arguments& arguments);  // throws Refusal
};

// All verbs, in the order of the help.
const std::vector<const Verb*>& all_verbs();

// Null when there is none of this name.
const Verb* find_verb(std::string_view name);

}  // namespace dmremap::ctl
