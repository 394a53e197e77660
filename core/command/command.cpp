// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/command/command.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/command/quoted.h"
#include "core/whole_number.h"

namespace dmremap {

namespace {

constexpr std::size_t kLongest = 1024;

using Words = std::vector<std::string_view>;

struct Form {
    const char* verb;
    CommandVerb code;
    const char* usage;
    const char* help;
};

constexpr std::array kForms = {
    Form{"help", CommandVerb::help, "help", "this list"},
    Form{"status", CommandVerb::status, "status", "the status line"},
    Form{"stats", CommandVerb::stats, "stats", "all counters, \"name value\" lines"},
    Form{"health", CommandVerb::health, "health", "how the disk is, and what to do"},
    Form{"clear_stats", CommandVerb::clear_stats, "clear_stats", "begin counting at 0 again"},
    Form{"remap", CommandVerb::remap, "remap SECTOR [COUNT]",
         "move the blocks of these sectors to the spare"},
    Form{"unmap", CommandVerb::unmap, "unmap SECTOR [COUNT] [force]",
         "move them back to main; force: also where sectors are lost that main may still have"},
    Form{"query", CommandVerb::query, "query SECTOR", "where a sector is, and why"},
    Form{"salvage", CommandVerb::salvage, "salvage", "try all lost sectors again"},
    Form{"scan", CommandVerb::scan, "scan start [SECTOR COUNT] | stop | pause | resume",
         "look for bad blocks"},
    Form{"set", CommandVerb::set, "set PARAM VALUE", "change a parameter"},
};

bool number(std::string_view word, std::uint64_t& value) {
    const auto parsed = whole_number<std::uint64_t>(word);
    value = parsed.value_or(0);
    return parsed.has_value();
}

class Parser {
public:
    Parser(const Form& form, Words words, std::string& why)
        : form_(form), words_(std::move(words)), why_(why) {}

    bool parse(Command& command) {
        command.verb = form_.code;
        switch (form_.code) {
            case CommandVerb::remap:
                return sectors(command) && end();
            case CommandVerb::unmap:
                command.force = words_.size() > 2 && words_.back() == "force";
                if (command.force) words_.pop_back();
                return sectors(command) && end();
            case CommandVerb::query:
                return sector(command) && end();
            case CommandVerb::scan:
                return scan(command) && end();
            case CommandVerb::set:
                return word(command.parameter) && rest(command.value);
            default:
                return end();
        }
    }

private:
    bool fail(const std::string& what) {
        why_ = what + "; expected: " + form_.usage;
        return false;
    }
    bool more() const { return next_ < words_.size(); }
    bool word(std::string& to) {
        if (!more()) return fail("too few words");
        to = words_[next_++];
        return true;
    }
    // What is no value is the parameter's to say.
    bool rest(std::string& to) {
        for (; more(); next_++) to.append(to.empty() ? "" : " ").append(words_[next_]);
        return true;
    }
    bool sector(Command& command) {
        if (!more()) return fail("a sector is missing");
        if (!number(words_[next_], command.sector))
            return fail(quoted(words_[next_]) + " is no sector");
        next_++;
        return true;
    }
    bool count(Command& command) {
        if (!number(words_[next_], command.count) || command.count == 0)
            return fail(quoted(words_[next_]) + " is no number of sectors");
        next_++;
        return true;
    }
    bool sectors(Command& command) { return sector(command) && (!more() || count(command)); }
    bool scan(Command& command) {
        if (!word(command.value)) return false;
        constexpr std::array kKnown = {"start", "stop", "pause", "resume"};
        if (std::find(kKnown.begin(), kKnown.end(), command.value) == kKnown.end())
            return fail(quoted(command.value) + " is not known of a scan");
        command.whole = !more();
        if (command.value != "start" || !more()) return true;
        return sector(command) && (more() ? count(command) : fail("a count is missing"));
    }
    bool end() { return more() ? fail(quoted(words_[next_]) + " is one word too many") : true; }

    const Form& form_;
    Words words_;
    std::size_t next_ = 1;
    std::string& why_;
};

Words split(std::string_view line) {
    Words words;
    while (!line.empty()) {
        const auto begin = line.find_first_not_of(" \t");
        if (begin == std::string_view::npos) break;
        line.remove_prefix(begin);
        const auto length = std::min(line.find_first_of(" \t"), line.size());
        words.push_back(line.substr(0, length));
        line.remove_prefix(length);
    }
    return words;
}

}  // namespace

std::optional<Command> parse_command(const std::string& message, std::string& why) {
    std::string_view line = message;
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.size() > kLongest) {
        why = "a message is at most " + std::to_string(kLongest) + " bytes";
        return std::nullopt;
    }
    if (line.find_first_of(std::string_view("\n\0", 2)) != std::string_view::npos) {
        why = "a message is one line";
        return std::nullopt;
    }
    const Words words = split(line);
    const auto form = std::find_if(kForms.begin(), kForms.end(), [&words](const Form& candidate) {
        return !words.empty() && words.front() == candidate.verb;
    });
    if (form == kForms.end()) {
        why = words.empty() ? "there is no message" : quoted(words.front()) + " is no message";
        why += "; expected one of";
        for (const Form& known : kForms) why += std::string(" ") + known.verb;
        return std::nullopt;
    }
    Command command;
    if (!Parser(*form, words, why).parse(command)) return std::nullopt;
    return command;
}

bool command_blocks(const Command& command) {
    switch (command.verb) {
        case CommandVerb::remap:
        case CommandVerb::unmap:
        case CommandVerb::salvage:
        case CommandVerb::scan:
        case CommandVerb::set:
            return true;
        default:
            return false;
    }
}

std::string command_help() {
    std::size_t width = 0;
    for (const Form& form : kForms) width = std::max(width, std::string_view(form.usage).size());
    std::string text;
    for (const Form& form : kForms) {
        text += form.usage;
        text.append(width + 2 - std::string_view(form.usage).size(), ' ');
        text += std::string(form.help) + "\n";
    }
    return text;
}

}  // namespace dmremap
