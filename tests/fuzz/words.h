// SPDX-License-Identifier: GPL-2.0-or-later
// A fuzz input as words: one a line, so that a corpus can be read and written by people.
#pragma once

#include <sstream>
#include <string>
#include <vector>

namespace dmremap::fuzz {

inline std::vector<std::string> words_of(const std::string& text) {
    std::istringstream lines(text);
    std::vector<std::string> words;
    for (std::string line; std::getline(lines, line);) words.push_back(line);
    // A program's words end at a NUL.
    for (std::string& word : words) word = word.c_str();
    return words;
}

}  // namespace dmremap::fuzz
