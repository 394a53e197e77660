// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/mounts.h"

#include <gtest/gtest.h>

#include <sstream>

#include "core/device/kernel_text.h"

namespace dmremap::ctl {
namespace {

TEST(Mounts, FindsOursAmongOthers) {
    std::istringstream mountinfo(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "40 22 0:50 / /mnt/a rw,nosuid shared:7 master:2 - fuse.dmremapfs /dev/sdb rw,user_id=0\n"
        "41 22 0:51 / /mnt/my\\040disk rw - fuse.dmremapfs /tmp/a\\134b.img rw\n"
        "42 22 0:52 / /mnt/c rw - fuse.sshfs fuse.dmremapfs rw\n"
        "short line\n");
    const auto mounts = parse_mountinfo(mountinfo);
    ASSERT_EQ(mounts.size(), 2u);
    EXPECT_EQ(mounts[0].point, "/mnt/a");
    EXPECT_EQ(mounts[0].main, "/dev/sdb");
    EXPECT_EQ(mounts[1].point, "/mnt/my disk");
    EXPECT_EQ(mounts[1].main, "/tmp/a\\b.img");
}

// The kernel escapes blanks, tabs, newlines and backslashes, and nothing else.
TEST(Mounts, OtherWhiteSpaceBelongsToTheName) {
    std::istringstream mountinfo(
        "40 22 0:50 / /mnt/a\rb\vc rw shared:7 - fuse.dmremapfs /d\fe rw\n");
    const auto mounts = parse_mountinfo(mountinfo);
    ASSERT_EQ(mounts.size(), 1u);
    EXPECT_EQ(mounts[0].point, "/mnt/a\rb\vc");
    EXPECT_EQ(mounts[0].main, "/d\fe");
}

TEST(Mounts, OnlyWholeEscapesAreOnes) {
    EXPECT_EQ(unescape_octal("a\\040b"), "a b");
    EXPECT_EQ(unescape_octal("\\04"), "\\04");
    EXPECT_EQ(unescape_octal("\\0"), "\\0");
    EXPECT_EQ(unescape_octal("\\089"), "\\089");
    EXPECT_EQ(unescape_octal("\\777"), "\\777");
    EXPECT_EQ(unescape_octal("\\134040"), "\\040");
}

}  // namespace
}  // namespace dmremap::ctl
