// SPDX-License-Identifier: GPL-2.0-or-later
// Exit codes: the program's own, and those of fsck for `check`, as fsck wrappers expect them.
#pragma once

#include "core/refusal.h"

namespace dmremap::ctl {

constexpr int kDone = 0;
constexpr int kRefused = 1;
constexpr int kUsage = 2;
constexpr int kNoTarget = 3;
constexpr int kBusy = 4;

constexpr int kFsckClean = 0;
constexpr int kFsckRepaired = 1;
constexpr int kFsckUncorrected = 4;
constexpr int kFsckOperational = 8;
constexpr int kFsckUsage = 16;

enum class ExitCodes { usual, fsck };

int exit_code(ExitCodes codes, RefusalKind kind);

const char* refusal_kind_name(RefusalKind kind);  // stable: "kind" of a JSON error

}  // namespace dmremap::ctl
