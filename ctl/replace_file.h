// SPDX-License-Identifier: GPL-2.0-or-later
// A file that is there whole or not at all.
#pragma once

#include <string>

namespace dmremap::ctl {

// Writes beside it and renames: a reader finds the old content or the new one. Mode 0644. Throws
// Refusal(system), and leaves nothing behind.
void replace_file(const std::string& path, const std::string& text);

}  // namespace dmremap::ctl
