// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/cases.h"

#include <gtest/gtest.h>

#include <iostream>

namespace dmremap::test {

std::string Cases::filter() {
    const testing::TestInfo* const test = testing::UnitTest::GetInstance()->current_test_info();
    return test == nullptr ? "'*'" : std::string(test->test_suite_name()) + "." + test->name();
}

void Cases::report(const std::string& what, std::uint64_t openings) const {
    std::cout << what << ": " << run_ << " of " << seen_ << " cases";
    if (openings != 0) std::cout << ", " << openings << " openings";
    std::cout << "\n";
    if (std::getenv("DMREMAP_EVERY") == nullptr) {
        EXPECT_NE(run_, 0u) << "a sweep without a case proves nothing";
    }
}

}  // namespace dmremap::test
