// SPDX-License-Identifier: GPL-2.0-or-later
// Exit codes of dmremapfs, those of mount(8).
#pragma once

#include "core/refusal.h"

namespace dmremap {

constexpr int kExitMounted = 0;
constexpr int kExitUsage = 1;
constexpr int kExitSystem = 2;
constexpr int kExitRefused = 32;

inline int exit_code(RefusalKind kind) {
    switch (kind) {
        case RefusalKind::usage:
            return kExitUsage;
        case RefusalKind::system:
            return kExitSystem;
        case RefusalKind::refused:
        case RefusalKind::busy:
        case RefusalKind::not_found:
            break;
    }
    return kExitRefused;
}

}  // namespace dmremap
