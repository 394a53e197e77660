// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/fault_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/refusal.h"
#include "core/whole_number.h"

namespace dmremap {

namespace {

constexpr std::array<std::pair<std::string_view, FaultVerb>, 7> kVerbs{{
    {"bad", FaultVerb::bad},
    {"slow", FaultVerb::slow},
    {"fail", FaultVerb::fail},
    {"vanish", FaultVerb::vanish},
    {"return", FaultVerb::come_back},
    {"heal", FaultVerb::heal},
    {"clear", FaultVerb::clear},
}};

// What devices are known to answer.
constexpr std::array<std::pair<std::string_view, int>, 17> kErrors{{
    {"EIO", EIO},
    {"ENODATA", ENODATA},
    {"EILSEQ", EILSEQ},
    {"EREMOTEIO", EREMOTEIO},
    {"ETIMEDOUT", ETIMEDOUT},
    {"ENOSPC", ENOSPC},
    {"EDQUOT", EDQUOT},
    {"EFBIG", EFBIG},
    {"ENOMEM", ENOMEM},
    {"EAGAIN", EAGAIN},
    {"EBUSY", EBUSY},
    {"ENODEV", ENODEV},
    {"ENXIO", ENXIO},
    {"ENOLINK", ENOLINK},
    {"EROFS", EROFS},
    {"EOPNOTSUPP", EOPNOTSUPP},
    {"EINVAL", EINVAL},
}};

constexpr std::string_view kDevices = "main, spare or *";
constexpr std::string_view kVerbList = "bad, slow, fail, vanish, return, heal or clear";
constexpr std::string_view kRangeForm = "SECTOR, SECTOR+COUNT or *";

std::vector<std::string_view> split(std::string_view line) {
    constexpr std::string_view kBlanks = " \t\r\v\f";
    line = line.substr(0, line.find('#'));
    std::vector<std::string_view> words;
    for (;;) {
        const std::size_t begin = line.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos) return words;
        line.remove_prefix(begin);
        const std::size_t length = std::min(line.find_first_of(kBlanks), line.size());
        words.push_back(line.substr(0, length));
        line.remove_prefix(length);
    }
}

// The word as a message may show it: short, and nothing that a terminal would obey.
std::string shown(std::string_view word) {
    constexpr std::size_t kMost = 40;
    std::string text(word.substr(0, kMost));
    for (char& c : text)
        if (c < ' ' || c > '~') c = '?';
    return '"' + text + (word.size() > kMost ? "...\"" : "\"");
}

// One line. Every step takes the next word or throws.
class Line {
public:
    Line(std::vector<std::string_view> words, std::string where)
        : words_(std::move(words)), where_(std::move(where)) {}

    FaultStatement parse() {
        parse_device_and_verb();
        switch (statement_.verb) {
            case FaultVerb::bad:
                parse_access("read, write or all");
                parse_range();
                parse_options();
                break;
            case FaultVerb::slow:
                parse_access("read, write or all");
                parse_range();
                statement_.delay_ms =
                    static_cast<std::uint32_t>(whole_number(kFaultDelayMs, "milliseconds"));
                break;
            case FaultVerb::fail:
                parse_calls();
                parse_options();
                break;
            case FaultVerb::vanish:
                parse_vanish();
                break;
            case FaultVerb::heal:
                parse_range();
                break;
            case FaultVerb::come_back:
            case FaultVerb::clear:
                break;
        }
        if (at_ < words_.size()) refuse(words_[at_], "the end of the line");
        return statement_;
    }

private:
    [[noreturn]] void refuse(std::string_view found, std::string_view expected) const {
        throw Refusal(RefusalKind::usage,
                      where_ + ": found " +
                          (found.empty() ? std::string("the end of the line") : shown(found)) +
                          " where " + std::string(expected) + " was expected");
    }

    // "" at the end: no word is empty.
    std::string_view next() { return at_ < words_.size() ? words_[at_++] : std::string_view{}; }

    bool take_device(std::string_view word) {
        statement_.main = word == "main" || word == "*";
        statement_.spare = word == "spare" || word == "*";
        return statement_.main || statement_.spare;
    }

    bool take_verb(std::string_view word) {
        const auto* const found = std::ranges::find(kVerbs, word, [](auto& v) { return v.first; });
        if (found == kVerbs.end()) return false;
        statement_.verb = found->second;
        return true;
    }

    // In either order; "clear" alone is about both devices.
    void parse_device_and_verb() {
        const std::string_view word = next();
        if (take_device(word)) {
            const std::string_view verb = next();
            if (!take_verb(verb)) refuse(verb, kVerbList);
            return;
        }
        if (!take_verb(word)) refuse(word, kDevices);
        const std::string_view device = next();
        if (device.empty() && statement_.verb == FaultVerb::clear)
            take_device("*");
        else if (!take_device(device))
            refuse(device, kDevices);
    }

    void parse_access(std::string_view expected) {
        const std::string_view word = next();
        statement_.reads = word == "read" || word == "all";
        statement_.writes = word == "write" || word == "all";
        if (!statement_.reads && !statement_.writes) refuse(word, expected);
    }

    // The whole of `digits` as a decimal number; they are a part of `word`.
    std::uint64_t number(std::string_view word, std::string_view digits, std::uint64_t least,
                         std::uint64_t most, std::string_view what) const {
        const auto value = dmremap::whole_number<std::uint64_t>(digits);
        if (!value || *value < least || *value > most)
            refuse(word, std::string(what) + " (" + std::to_string(least) + " to " +
                             std::to_string(most) + ")");
        return *value;
    }

    // The next word, as a number from 1 on.
    std::uint64_t whole_number(std::uint64_t most, std::string_view what) {
        const std::string_view word = next();
        return number(word, word, 1, most, what);
    }

    void parse_range() {
        const std::string_view word = next();
        if (word == "*") {
            statement_.first = 0;
            statement_.count = kFaultSectors;
            return;
        }
        const std::size_t plus = word.find('+');
        if (word.empty() || plus == 0) refuse(word, kRangeForm);
        statement_.first =
            number(word, word.substr(0, plus), 0, kFaultSectors - 1, "a sector number");
        statement_.count = 1;
        if (plus == std::string_view::npos) return;
        if (plus + 1 == word.size()) refuse(word, kRangeForm);
        statement_.count = number(word, word.substr(plus + 1), 1, kFaultSectors - statement_.first,
                                  "a count of sectors");
    }

    void parse_calls() {
        const std::string_view kind = next();
        const bool any = kind == "any";
        statement_.reads = any || kind == "read";
        statement_.writes = any || kind == "write";
        statement_.flushes = any || kind == "flush";
        if (!statement_.reads && !statement_.writes && !statement_.flushes)
            refuse(kind, "read, write, flush or any");

        const std::string_view word = next();
        const std::size_t plus = word.find('+');
        if (word.empty() || plus == 0) refuse(word, "CALL, CALL+COUNT or CALL+");
        statement_.first = number(word, word.substr(0, plus), 1, kFaultCalls, "a call's number");
        statement_.count = 1;
        if (plus == std::string_view::npos) return;
        if (plus + 1 == word.size())
            statement_.count = 0;
        else
            statement_.count =
                number(word, word.substr(plus + 1), 1, kFaultCalls, "a count of calls");
    }

    void parse_vanish() {
        const std::string_view word = next();
        if (word.empty()) return;
        if (word != "after") refuse(word, "after CALLS or the end of the line");
        statement_.first = whole_number(kFaultCalls, "a count of calls");
    }

    void parse_options() {
        // What makes no sense for this statement is not accepted in silence.
        const bool sectors = statement_.verb == FaultVerb::bad;
        std::string known = "error=NAME";
        if (sectors) known += ", times=CALLS";
        if (sectors && statement_.reads) known += ", heals";
        if (statement_.writes) known += ", torn=SECTORS, garble";
        known += " or the end of the line";

        std::vector<std::string_view> seen;
        for (std::string_view word = next(); !word.empty(); word = next()) {
            const std::size_t equals = word.find('=');
            const std::string_view name = word.substr(0, equals);
            const bool has_value = equals != std::string_view::npos;
            const std::string_view value = has_value ? word.substr(equals + 1) : "";
            if (std::ranges::find(seen, name) != seen.end()) refuse(word, "each option only once");
            seen.push_back(name);

            FaultOptions& options = statement_.options;
            if (name == "error" && has_value)
                options.error = error_number(word, value);
            else if (name == "times" && has_value && sectors)
                options.times = number(word, value, 1, kFaultCalls, "a count of calls");
            else if (word == "heals" && sectors && statement_.reads)
                options.heals = true;
            else if (name == "torn" && has_value && statement_.writes)
                options.torn = number(word, value, 0, kFaultSectors, "a count of sectors");
            else if (word == "garble" && statement_.writes)
                options.garble = true;
            else
                refuse(word, known);
        }
    }

    int error_number(std::string_view word, std::string_view name) const {
        const auto* const found = std::ranges::find(kErrors, name, [](auto& e) { return e.first; });
        if (found != kErrors.end()) return found->second;
        std::string expected = "error= and one of";
        for (const auto& known : kErrors) expected += ' ' + std::string(known.first);
        refuse(word, expected);
    }

    const std::vector<std::string_view> words_;
    const std::string where_;
    std::size_t at_ = 0;
    FaultStatement statement_;
};

std::string range_text(std::uint64_t first, std::uint64_t count) {
    if (first == 0 && count == kFaultSectors) return "*";
    return std::to_string(first) + (count == 1 ? "" : '+' + std::to_string(count));
}

std::string options_text(const FaultStatement& s) {
    std::string text;
    const FaultOptions& o = s.options;
    if (o.error != EIO)
        for (const auto& [name, number] : kErrors)
            if (number == o.error) text += " error=" + std::string(name);
    if (o.times != 0) text += " times=" + std::to_string(o.times);
    if (o.heals) text += " heals";
    if (o.torn) text += " torn=" + std::to_string(*o.torn);
    if (o.garble) text += " garble";
    return text;
}

}  // namespace

std::vector<FaultStatement> parse_fault_text(std::string_view text, const std::string& source) {
    std::vector<FaultStatement> statements;
    for (std::uint64_t line = 1; !text.empty(); ++line) {
        const std::size_t length = std::min(text.find('\n'), text.size());
        auto words = split(text.substr(0, length));
        text.remove_prefix(std::min(length + 1, text.size()));
        if (words.empty()) continue;
        statements.push_back(
            Line(std::move(words), source + ", line " + std::to_string(line)).parse());
    }
    return statements;
}

std::string fault_line(const FaultStatement& s) {
    std::string line = s.main && s.spare ? "*" : s.main ? "main" : "spare";
    for (const auto& [name, verb] : kVerbs)
        if (verb == s.verb) line += ' ' + std::string(name);
    if (s.verb == FaultVerb::bad || s.verb == FaultVerb::slow)
        line += s.reads && s.writes ? " all " : s.reads ? " read " : " write ";
    switch (s.verb) {
        case FaultVerb::bad:
            line += range_text(s.first, s.count) + options_text(s);
            break;
        case FaultVerb::slow:
            line += range_text(s.first, s.count) + ' ' + std::to_string(s.delay_ms);
            break;
        case FaultVerb::fail:
            line += s.reads && s.writes ? " any "
                    : s.reads           ? " read "
                    : s.writes          ? " write "
                                        : " flush ";
            line += std::to_string(s.first);
            if (s.count == 0)
                line += '+';
            else if (s.count != 1)
                line += '+' + std::to_string(s.count);
            line += options_text(s);
            break;
        case FaultVerb::vanish:
            if (s.first != 0) line += " after " + std::to_string(s.first);
            break;
        case FaultVerb::heal:
            line += ' ' + range_text(s.first, s.count);
            break;
        case FaultVerb::come_back:
        case FaultVerb::clear:
            break;
    }
    return line + '\n';
}

}  // namespace dmremap
