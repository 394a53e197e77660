// SPDX-License-Identifier: GPL-2.0-or-later
// What somebody wrote, for the sentence that refuses it.
#pragma once

#include <string>
#include <string_view>

namespace dmremap {

// In quotes, the first 64 bytes of it; what is not printable ASCII, and a quote, as '?'.
std::string quoted(std::string_view word);

}  // namespace dmremap
