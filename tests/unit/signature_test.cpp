// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/signature.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/refusal.h"
#include "tests/unit/scratch.h"

namespace dmremap {
namespace {

using test::run;

void put(const std::string& path, std::streamoff offset, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file << bytes;
}

TEST(Signature, AnEmptyImageHasNone) {
    const test::ScratchDir dir;
    EXPECT_EQ(foreign_content(dir.image("a", 16 << 20)), "");
}

TEST(Signature, AFileSystemIsNamedWithItsLabel) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    run("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F -L home " + image);
    EXPECT_EQ(foreign_content(image), "ext4 file system labelled \"home\"");
}

TEST(Signature, SwapSpaceIsNoFileSystem) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    run("PATH=$PATH:/sbin:/usr/sbin mkswap " + image);
    EXPECT_EQ(foreign_content(image), "swap");
}

TEST(Signature, APartitionTableIsFound) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    // One Linux partition of sectors 2048 to 4095.
    put(image, 446, std::string("\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0", 16));
    put(image, 510, "\x55\xaa");
    EXPECT_EQ(foreign_content(image), "dos partition table");
}

TEST(Signature, SeveralAreAllNamed) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    run("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F " + image);
    put(image, 0, std::string("LUKS\xba\xbe\0\x02", 8));
    put(image, 446, std::string("\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0", 16));
    put(image, 510, "\x55\xaa");
    const std::string found = foreign_content(image);
    EXPECT_NE(found.find("ext4 file system"), std::string::npos) << found;
    EXPECT_NE(found.find("dos partition table"), std::string::npos) << found;
}

TEST(Signature, WhatCannotBeOpenedIsRefused) {
    try {
        foreign_content("/nonexistent/device");
        FAIL();
    } catch (const Refusal& refusal) {
        EXPECT_EQ(refusal.kind(), RefusalKind::system);
        EXPECT_NE(std::string(refusal.what()).find("/nonexistent/device"), std::string::npos);
        EXPECT_NE(std::string(refusal.what()).find("No such file"), std::string::npos);
    }
}

}  // namespace
}  // namespace dmremap
