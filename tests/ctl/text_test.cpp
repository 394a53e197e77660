// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace dmremap::ctl {
namespace {

TEST(Text, SizesHaveOneDecimalAndTheBytes) {
    EXPECT_EQ(human_size(0), "0 bytes");
    EXPECT_EQ(human_size(1), "1 byte");
    EXPECT_EQ(human_size(1023), "1023 bytes");
    EXPECT_EQ(human_size(1024), "1.0 KiB (1024 bytes)");
    EXPECT_EQ(human_size(1536), "1.5 KiB (1536 bytes)");
    EXPECT_EQ(human_size(1ull << 40), "1.0 TiB (1099511627776 bytes)");
    EXPECT_EQ(short_size(UINT64_MAX), "16.0 EiB");
}

TEST(Text, SizesJustBelowAUnitAreNot1024OfTheSmallerOne) {
    EXPECT_EQ(short_size((1ull << 20) - 1), "1.0 MiB");
    EXPECT_EQ(short_size((1ull << 40) - 1), "1.0 TiB");
    EXPECT_EQ(short_size(1023ull << 10), "1023.0 KiB");
}

TEST(Text, TimesThatAreNoneAreNotInvented) {
    setenv("TZ", "UTC", 1);
    tzset();
    EXPECT_EQ(human_time(0), "never");
    EXPECT_EQ(human_time(1700000000), "2023-11-14 22:13:20 +0000");
    EXPECT_EQ(human_time(UINT64_MAX), "18446744073709551615 s, which is no date");
}

TEST(Text, ControlCharactersOfADiskDoNotReachTheTerminal) {
    EXPECT_EQ(printable("home disk"), "home disk");
    EXPECT_EQ(printable("\x1b[2J\n"), "\\x1b[2J\\x0a");
    EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
    EXPECT_EQ(printable("cut \xc3"), "cut \\xc3");
}

TEST(Text, ShellWordsAreQuotedWhereNecessary) {
    EXPECT_EQ(shell_quote("/dev/sdb1"), "/dev/sdb1");
    EXPECT_EQ(shell_quote("my disk"), "'my disk'");
    EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quote("$(reboot)"), "'$(reboot)'");
    EXPECT_EQ(shell_quote(""), "''");
}

TEST(Text, FieldsAlignTheirValues) {
    Fields fields;
    fields.heading("Main");
    fields.add("size", "1");
    fields.add("logical block", "2");
    EXPECT_EQ(fields.str(), "Main\n  size:           1\n  logical block:  2\n");
}

TEST(Text, ColumnsAlignAndEndWithoutBlanks) {
    Columns columns({"A", "LONGER"});
    columns.add({"value", "x"});
    EXPECT_EQ(columns.str(), "A      LONGER\nvalue  x\n");
    EXPECT_EQ(columns.str("  "), "  A      LONGER\n  value  x\n");
}

}  // namespace
}  // namespace dmremap::ctl
