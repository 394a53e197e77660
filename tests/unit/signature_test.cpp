// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/signature.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/device/fault_device.h"
#include "core/refusal.h"
#include "tests/support/test_pair.h"
#include "tests/unit/scratch.h"

namespace dmremap {
namespace {

using test::run;

void put(const std::string& path, std::streamoff offset, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file << bytes;
}

// Of a DOS partition table; sectors.
std::string entry(int type, std::uint32_t start, std::uint32_t size) {
    std::string bytes(16, '\0');
    bytes[4] = static_cast<char>(type);
    for (unsigned i = 0; i < 4; i++) {
        bytes[8 + i] = static_cast<char>(start >> 8 * i);
        bytes[12 + i] = static_cast<char>(size >> 8 * i);
    }
    return bytes;
}

TEST(Signature, AnEmptyImageHasNone) {
    const test::ScratchDir dir;
    EXPECT_EQ(foreign_content(FoundDevice(dir.image("a", 16 << 20))), "");
}

TEST(Signature, AFileSystemIsNamedWithItsLabel) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    run("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F -L home " + image);
    EXPECT_EQ(foreign_content(FoundDevice(image)), "ext4 file system labelled \"home\"");
}

TEST(Signature, SwapSpaceIsNoFileSystem) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    run("PATH=$PATH:/sbin:/usr/sbin mkswap " + image);
    EXPECT_EQ(foreign_content(FoundDevice(image)), "swap");
}

TEST(Signature, APartitionTableIsFound) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    // One Linux partition of sectors 2048 to 4095.
    put(image, 446, std::string("\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0", 16));
    put(image, 510, "\x55\xaa");
    EXPECT_EQ(foreign_content(FoundDevice(image)), "dos partition table");
}

TEST(Signature, SeveralAreAllNamed) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20);
    run("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F " + image);
    put(image, 0, std::string("LUKS\xba\xbe\0\x02", 8));
    put(image, 446, std::string("\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0", 16));
    put(image, 510, "\x55\xaa");
    const std::string found = foreign_content(FoundDevice(image));
    EXPECT_NE(found.find("ext4 file system"), std::string::npos) << found;
    EXPECT_NE(found.find("dos partition table"), std::string::npos) << found;
}

// The edges of a spare in memory, through the device.
struct Edges : test::TestPair {
    Edges() { format(); }
    void put_at(std::uint64_t offset, const std::string& bytes) {
        spare->poke(offset, bytes.data(), bytes.size());
    }
    std::string found() { return foreign_at_the_edges(*spare->device()); }
};

const std::string kLuks("LUKS\xba\xbe\0\x02", 8);
const std::string kPartition("\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0", 16);

TEST(Signature, ASpareHasNothingForeignAtItsEdges) {
    Edges spare;
    EXPECT_EQ(spare.found(), "");
    EXPECT_EQ(overwritten_sentence(*spare.spare->device()), "");
}

TEST(Signature, WhatWasMadeOverASpareIsFoundAtEitherEdge) {
    {
        Edges spare;
        spare.put_at(0, kLuks);
        EXPECT_EQ(spare.found(), "crypto_LUKS");
        EXPECT_NE(overwritten_sentence(*spare.spare->device()).find("crypto_LUKS"),
                  std::string::npos);
    }
    {
        Edges spare;
        spare.put_at(446, kPartition);
        spare.put_at(510, "\x55\xaa");
        EXPECT_EQ(spare.found(), "dos partition table");
    }
    {
        // A RAID member of metadata 0.90: its superblock is in the last 128 KiB.
        Edges spare;
        std::string md(4096, '\0');
        md.replace(0, 4, "\xfc\x4e\x2b\xa9");
        md[8] = 90;
        spare.put_at((spare.spare->size() & ~65535ull) - 65536, md);
        EXPECT_EQ(spare.found(), "linux_raid_member");
    }
}

// A user's disk image in the slots may begin with anything.
TEST(Signature, SlotsMayHoldAnything) {
    Edges spare;
    spare.put_at(spare.spare->size() / 2, kLuks);
    spare.put_at(1 << 20, "\x0d\xd0\x01\xc0");  // where VMFS has its
    EXPECT_EQ(spare.found(), "");
}

TEST(Signature, ABadSectorHidesNoOther) {
    Edges spare;
    spare.put_at(0, kLuks);
    const auto device = make_fault_device(spare.spare->device(), "spare",
                                          FaultPlan::parse("spare bad read 1000+16\n"));
    EXPECT_EQ(foreign_at_the_edges(*device), "crypto_LUKS");
}

TEST(Signature, ASpareThatCannotBeAskedIsNotTakenForEmpty) {
    Edges spare;
    spare.put_at(0, kLuks);
    const auto device = make_fault_device(spare.spare->device(), "spare",
                                          FaultPlan::parse("spare bad read 0+8 error=ENOMEM\n"));
    EXPECT_THROW(foreign_at_the_edges(*device), Refusal);
}

TEST(Signature, WhatIsTooSmallForASpareIsNotLookedAt) {
    const auto small = std::make_shared<test::Medium>("small", 64 << 10, 512, 512,
                                                      std::make_shared<test::Power>());
    EXPECT_EQ(overwritten_sentence(*small->device()), "");
}

TEST(Signature, P7_WhatIsLookedAtIsWhatWasFoundNotWhatThePathLeadsToNow) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 16 << 20), empty = dir.image("empty", 16 << 20);
    run("PATH=$PATH:/sbin:/usr/sbin mkswap " + image);
    const FoundDevice found(image);
    std::filesystem::rename(empty, image);
    EXPECT_EQ(foreign_content(found), "swap");
}

TEST(Signature, PartitionsAreThoseOfTheTableWithoutTheExtendedOne) {
    const test::ScratchDir dir;
    const std::string image = dir.image("a", 64 << 20);
    EXPECT_TRUE(partitions(FoundDevice(image)).empty());
    // One of type 83 and, in an extended one, a second.
    put(image, 446, entry(0x83, 2048, 16384));
    put(image, 462, entry(0x05, 20480, 32768));
    put(image, 510, "\x55\xaa");
    put(image, 20480 * 512 + 446, entry(0x83, 2048, 8192));
    put(image, 20480 * 512 + 510, "\x55\xaa");
    const auto found = partitions(FoundDevice(image));
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].number, 1);
    EXPECT_EQ(found[0].begin, 2048u * 512);
    EXPECT_EQ(found[0].size, 16384u * 512);
    EXPECT_EQ(found[1].number, 5);
    EXPECT_EQ(found[1].begin, 22528u * 512);
}

}  // namespace
}  // namespace dmremap
