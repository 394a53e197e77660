// SPDX-License-Identifier: GPL-2.0-or-later
// A fuzz input as words: one a line, so that a corpus can be read and written by people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace dmremap::fuzz {

inline std::vector<std::string> words_of(const std::uint8_t* data, std::size_t size) {
    std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
    std::vector<std::string> words;
    for (std::string line; std::getline(lines, line);) words.push_back(line);
    // A program's words end at a NUL.
    for (std::string& word : words) word = word.c_str();
    return words;
}

}  // namespace dmremap::fuzz
