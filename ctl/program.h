// SPDX-License-Identifier: GPL-2.0-or-later
// The way of a call: words -> verb -> arguments -> answer -> text or JSON -> exit code.
//
// A refusal anywhere becomes `dmremapctl: SENTENCE` on err and, with --json, the object
// {"error":{"kind","message"}} on out. Nothing is thrown.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace dmremap::ctl {

// `words` are the program's arguments without its name. Returns the exit code.
int run_program(const std::vector<std::string>& words, std::ostream& out, std::ostream& err);

}  // namespace dmremap::ctl
