// SPDX-License-Identifier: GPL-2.0-or-later
// A table's line, read back by the rules of those who will read it: dmsetup's _parse_line() and the
// kernel's dm_split_args().
#include "ctl/table_line.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/device/kernel_text.h"
#include "core/disk.h"
#include "core/refusal.h"
#include "core/status_line.h"
#include "ctl/control.h"

namespace dmremap::ctl {
namespace {

bool ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool kernel_space(char c) { return ascii_space(c) || c == '\xa0'; }

// What dmsetup hands on of a line of a table.
std::string through_dmsetup(std::string line) {
    line.resize(std::min(line.find('\n'), line.size()));
    while (!line.empty() && ascii_space(line.back())) line.pop_back();
    line.resize(std::min(line.find('#'), line.size()));
    return line;
}

// The words the kernel makes of it.
std::vector<std::string> split_by_the_kernel(const std::string& line) {
    std::vector<std::string> words;
    std::size_t at = 0;
    for (;;) {
        while (at < line.size() && kernel_space(line[at])) at++;
        if (at == line.size()) return words;
        std::string word;
        while (at < line.size() && !kernel_space(line[at])) {
            if (line[at] == '\\' && at + 1 < line.size()) at++;
            word += line[at++];
        }
        words.push_back(word);
    }
}

std::vector<std::string> read_back(const std::string& line) {
    return split_by_the_kernel(through_dmsetup(line));
}

TEST(TableLine, AnyPathThatATableCanHoldComesBack) {
    EXPECT_EQ(table_line(131072, "/dev/sdb", "/srv/a b"),
              "0 131072 dm-remap-v4 /dev/sdb /srv/a\\ b");
    for (const std::string path :
         {"/dev/sdb", "/my disk/main.img", "/a  b", "/a\tb", "/a\\b", "/a\\", "/a\\ b", "/a\\040b",
          "/\vx\fy\rz", "/voil\u00e0", "/voil\u00e0/d", "/\u00e9t\u00e9", " leading", "/quote\"'",
          "/\xff\x01"}) {
        const std::vector<std::string> words{"0", "8", "dm-remap-v4", path, path};
        EXPECT_EQ(read_back(table_line(8, path, path)), words) << path;
    }
}

// The status line writes a blank as \040, the table as "\ ": from the one to the other.
TEST(TableLine, IsMadeOfTheStatusLine) {
    DiskStatus status;
    status.size = 8 * 512;
    status.main = "/my disk/a\\b";
    status.spare = "/the\tspare/\\040";
    const StatusLine line = parse_status_line(status_line(status, false));
    const auto words = read_back(table_line(line.sectors, line.main, line.spare));
    ASSERT_EQ(words.size(), 5u);
    EXPECT_EQ(words[3], status.main);
    EXPECT_EQ(words[4], status.spare);
}

TEST(TableLine, WhatDmsetupWouldCutIsRefused) {
    for (const std::string path : {"", "/a#b", "/a\nb", "/a ", "/a\t"}) {
        try {
            table_line(8, path, "/dev/sdb");
            ADD_FAILURE() << "'" << path << "' was taken";
        } catch (const Refusal& refusal) {
            EXPECT_NE(std::string(refusal.what()).find("symbolic link"), std::string::npos);
        }
        EXPECT_THROW(table_line(8, "/dev/sdb", path), Refusal) << path;
    }
}

}  // namespace
TEST(TableLine, ParametersAreWhatFollowsTheType) {
    EXPECT_EQ(table_parameters(table_line(8, "/dev/a dm-remap-v4 b", "/dev/s")),
              "/dev/a\\ dm-remap-v4\\ b /dev/s");
}

}  // namespace dmremap::ctl
