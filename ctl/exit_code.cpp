// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/exit_code.h"

namespace dmremap::ctl {

int exit_code(ExitCodes codes, RefusalKind kind) {
    if (codes == ExitCodes::fsck) return kind == RefusalKind::usage ? kFsckUsage : kFsckOperational;
    switch (kind) {
        case RefusalKind::usage:
            return kUsage;
        case RefusalKind::not_found:
            return kNoTarget;
        case RefusalKind::busy:
            return kBusy;
        case RefusalKind::refused:
        case RefusalKind::system:
            break;
    }
    return kRefused;
}

const char* refusal_kind_name(RefusalKind kind) {
    switch (kind) {
        case RefusalKind::refused:
            return "refused";
        case RefusalKind::busy:
            return "busy";
        case RefusalKind::not_found:
            return "not_found";
        case RefusalKind::usage:
            return "usage";
        case RefusalKind::system:
            break;
    }
    return "system";
}

}  // namespace dmremap::ctl
