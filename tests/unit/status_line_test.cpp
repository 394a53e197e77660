// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/status_line.h"

#include <gtest/gtest.h>

namespace dmremap {
namespace {

DiskStatus example() {
    DiskStatus status;
    status.main = "/dev/loop17";
    status.spare = "/dev/loop18";
    status.size = 20480 * 512;
    auto& op = status.totals.op;
    op[static_cast<unsigned>(Op::read)].completed = 73;
    op[static_cast<unsigned>(Op::read)].time_ns = 40000;
    op[static_cast<unsigned>(Op::write)].completed = 8;
    op[static_cast<unsigned>(Op::write)].time_ns = 900;
    op[static_cast<unsigned>(Op::zero)].completed = 2;
    op[static_cast<unsigned>(Op::zero)].time_ns = 25;
    op[static_cast<unsigned>(Op::flush)].completed = 1000;
    op[static_cast<unsigned>(Op::flush)].time_ns = 1000000;
    return status;
}

TEST(StatusLine, TheExampleOfTheContract) {
    EXPECT_EQ(status_line(example(), false),
              "0 20480 dm-remap-v4 v4.0-real /dev/loop17 /dev/loop18 73 10 0 0 0 83 40925 real");
}

// Mistake 11: counters that nothing ever increments.
TEST(StatusLine, EveryNumberHasItsPlace) {
    DiskStatus status = example();
    status.totals.remaps = 5;
    status.totals.main_errors = 600;
    status.totals.spare_errors = 7;
    status.active_mappings = 9;
    EXPECT_EQ(status_line(status, true),
              "0 20480 dm-remap-v4 v4.0-real /dev/loop17 /dev/loop18 73 10 5 607 9 83 40925 demo");
}

TEST(StatusLine, PathsStayOneWord) {
    DiskStatus status = example();
    status.main = "/a b\tc\nd\\e";
    status.spare = "/\xc3\xa4";
    EXPECT_EQ(status_line(status, false),
              "0 20480 dm-remap-v4 v4.0-real /a\\040b\\011c\\012d\\134e /\xc3\xa4 73 10 0 0 0 83 "
              "40925 real");
}

}  // namespace
}  // namespace dmremap
