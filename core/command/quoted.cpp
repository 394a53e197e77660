// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/command/quoted.h"

namespace dmremap {

std::string quoted(std::string_view word) {
    std::string text = "\"";
    for (const char c : word.substr(0, 64)) {
        const auto byte = static_cast<unsigned char>(c);
        text += byte < ' ' || byte >= 0x7f || c == '"' ? '?' : c;
    }
    return text + (word.size() > 64 ? "...\"" : "\"");
}

}  // namespace dmremap
