// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/table_line.h"

#include <string_view>

#include "core/refusal.h"
#include "ctl/text.h"

namespace dmremap::ctl {

namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";

// As the kernel's isspace() sees it, which reads Latin-1: in UTF-8 the last byte of "\u00e0" is
// one.
bool parts_words(char c) { return kBlanks.find(c) != std::string_view::npos || c == '\xa0'; }

std::string table_word(const std::string& path) {
    const bool cut = path.find_first_of("#\n") != std::string::npos;
    if (path.empty() || cut || kBlanks.find(path.back()) != std::string_view::npos)
        throw Refusal(RefusalKind::refused,
                      "a device-mapper table cannot hold the path '" + printable(path) +
                          "': dmsetup cuts it at '#', at a line feed and at white space at its "
                          "end; give it another name, a symbolic link will do");
    std::string word;
    for (const char c : path) {
        if (parts_words(c) || c == '\\') word += '\\';
        word += c;
    }
    return word;
}

}  // namespace

std::string table_line(std::uint64_t sectors, const std::string& main, const std::string& spare) {
    return "0 " + std::to_string(sectors) + " " + std::string(kTargetType) + " " +
           table_word(main) + " " + table_word(spare);
}

std::string table_parameters(const std::string& line) {
    const std::string before = " " + std::string(kTargetType) + " ";
    return line.substr(line.find(before) + before.size());
}

}  // namespace dmremap::ctl
