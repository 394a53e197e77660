// SPDX-License-Identifier: GPL-2.0-or-later
// A file that is there whole or not at all, where it is a file.
#pragma once

#include <string>

namespace dmremap::ctl {

// Writes beside it and renames: a reader finds the old content or the new one. Mode 0644. What is
// no regular file itself, a link, a pipe or /dev/stdout, is written to as it is. Throws
// Refusal(system), and leaves nothing behind; Refusal(refused) for a block device.
void replace_file(const std::string& path, const std::string& text);

}  // namespace dmremap::ctl
