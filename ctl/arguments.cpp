// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/arguments.h"

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <string_view>

#include "core/refusal.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

[[noreturn]] void refuse_usage(const Verb& verb, const std::string& what) {
    throw Refusal(RefusalKind::usage,
                  what + "; see dmremapctl " + std::string(verb.name) + " --help");
}

}  // namespace

OptionDeclarations verb_options(const Verb& verb) {
    OptionDeclarations options("Options");
    if (verb.declare) verb.declare(options);
    options.add_options()("json", "print one JSON object, as the manual describes it");
    options.add_options()("help,h", "print this help");
    return options;
}

Arguments Arguments::parse(const Verb& verb, const std::vector<std::string>& words) {
    Arguments result;
    try {
        OptionDeclarations options = verb_options(verb);
        options.add_options()("operand", po::value<std::vector<std::string>>());
        po::positional_options_description operands;
        operands.add("operand", -1);
        // Guessing "--forc" would let a script's typing error mean something in a later version.
        constexpr int style =
            po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
        const auto parsed =
            po::command_line_parser(words).options(options).positional(operands).style(style).run();
        // The operands' name is no option of ours.
        for (const auto& option : parsed.options)
            if (option.string_key == "operand" && option.position_key < 0)
                refuse_usage(verb, "unrecognised option '--operand'");
        po::store(parsed, result.values_);
        po::notify(result.values_);
    } catch (const po::error& error) {
        // Boost replaces placeholders such as %original_token% in its sentence until none is left:
        // for ever where a word that it quotes holds one itself.
        const bool quotable = std::none_of(words.begin(), words.end(), [](const auto& word) {
            return std::count(word.begin(), word.end(), '%') > 1;
        });
        refuse_usage(verb, quotable ? error.what() : "an option is not known or lacks its value");
    }
    if (result.has("operand"))
        result.operands_ = result.values_["operand"].as<std::vector<std::string>>();
    const auto& operands = result.operands_;
    if (operands.size() < verb.operands_min)
        refuse_usage(verb, "too few words: usage is dmremapctl " + std::string(verb.name) + " " +
                               std::string(verb.usage));
    if (operands.size() > verb.operands_max)
        refuse_usage(verb, "'" + operands[verb.operands_max] + "' is one word too many");
    for (const auto& operand : operands)
        if (operand.empty()) refuse_usage(verb, "an empty word stands where a name should be");
    return result;
}

std::string Arguments::value(const std::string& option) const {
    return has(option) ? values_[option].as<std::string>() : std::string();
}

bool mentions(const std::vector<std::string>& words, const std::string& option) {
    for (const auto& word : words) {
        if (word == "--") return false;
        if (word == option) return true;
    }
    return false;
}

}  // namespace dmremap::ctl
