// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/control.h"

#include <gtest/gtest.h>

#include "core/refusal.h"

namespace dmremap::ctl {
namespace {

TEST(Control, StatusLineWordForWord) {
    const StatusLine status = parse_status_line(
        "0 20480 dm-remap-v4 v4.0-real /dev/my\\040disk /dev/loop18 73 10 1 2 3 83 40925 real");
    EXPECT_EQ(status.sectors, 20480u);
    EXPECT_EQ(status.main, "/dev/my disk");
    EXPECT_EQ(status.spare, "/dev/loop18");
    EXPECT_EQ(status.reads, 73u);
    EXPECT_EQ(status.writes, 10u);
    EXPECT_EQ(status.remaps, 1u);
    EXPECT_EQ(status.errors, 2u);
    EXPECT_EQ(status.active_mappings, 3u);
    EXPECT_EQ(status.io_ops, 83u);
    EXPECT_EQ(status.total_time_ns, 40925u);
    EXPECT_EQ(status.mode, "real");
}

TEST(Control, WhatIsNoStatusLineIsRefused) {
    for (const char* line :
         {"", "0 20480 linear 8:0 0", "0 20480 dm-remap-v4 v4.0-real /a /b 73 10 1 2 3 83",
          "0 20480 dm-remap-v4 v4.0-real /a /b 73 x 1 2 3 83 40925 real"})
        EXPECT_THROW(parse_status_line(line), Refusal) << line;
}

TEST(Control, NameValueLinesBecomeNumbersWhereTheyAre) {
    const Json json = name_values_json(
        parse_name_values("slots 3496\nbig 18446744073709551615\nword a b\n\nnone\nnegative -1\n"));
    EXPECT_EQ(json["slots"], 3496);
    EXPECT_EQ(json["big"], UINT64_MAX);
    EXPECT_EQ(json["word"], "a b");
    EXPECT_EQ(json["none"], "");
    EXPECT_EQ(json["negative"], "-1");
    EXPECT_EQ(json.size(), 5u);
}

TEST(Control, AnAnswerIsTakenApart) {
    EXPECT_EQ(parse_answer("a 1\nb 2\n", 0).text, "a 1\nb 2\n");
    const MessageAnswer refused = parse_answer("a 1\nerror it is so: because\n", 61);
    EXPECT_EQ(refused.text, "a 1\n");
    EXPECT_EQ(refused.sentence, "it is so: because");
    EXPECT_EQ(parse_answer("error alone\n", 22).sentence, "alone");
    EXPECT_EQ(parse_answer("error alone\n", 22).text, "");
    EXPECT_EQ(parse_answer("", 22).sentence, "Invalid argument");
    EXPECT_EQ(number_of(parse_name_values("n 7\nm x\n"), "n"), 7u);
    EXPECT_EQ(number_of(parse_name_values("n 7\nm x\n"), "m"), 0u);
    EXPECT_EQ(number_of({}, "n"), 0u);
}

}  // namespace
}  // namespace dmremap::ctl
