// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/exit_code.h"

#include <gtest/gtest.h>

namespace dmremap::ctl {
namespace {

TEST(ExitCode, IsTheOneOfTheManual) {
    EXPECT_EQ(exit_code(ExitCodes::usual, RefusalKind::refused), 1);
    EXPECT_EQ(exit_code(ExitCodes::usual, RefusalKind::usage), 2);
    EXPECT_EQ(exit_code(ExitCodes::usual, RefusalKind::not_found), 3);
    EXPECT_EQ(exit_code(ExitCodes::usual, RefusalKind::busy), 4);
    EXPECT_EQ(exit_code(ExitCodes::usual, RefusalKind::system), 1);
}

// A script that trusts "below 4 is fine" must not take a refusal for a repaired spare.
TEST(ExitCode, OfCheckIsThatOfFsck) {
    EXPECT_EQ(exit_code(ExitCodes::fsck, RefusalKind::usage), 16);
    for (const RefusalKind kind :
         {RefusalKind::refused, RefusalKind::not_found, RefusalKind::busy, RefusalKind::system})
        EXPECT_EQ(exit_code(ExitCodes::fsck, kind), 8) << refusal_kind_name(kind);
}

}  // namespace
}  // namespace dmremap::ctl
