// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/identity.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "core/device/device_facts.h"
#include "core/device/unique_fd.h"
#include "core/refusal.h"
#include "tests/unit/scratch.h"

namespace dmremap {
namespace {

std::string hex(const Digest& digest) {
    std::string text;
    for (const std::uint8_t byte : digest) {
        char digits[3];
        std::snprintf(digits, sizeof(digits), "%02x", byte);
        text += digits;
    }
    return text;
}

Identity found(const std::string& text) { return {text, sha256(text)}; }

Identity identity_of(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return identify(fd.get(), facts_of(fd.get(), path).size);
}

bool has(const Identity& identity, const std::string& start) {
    return ("\n" + identity.text).find("\n" + start) != std::string::npos;
}

TEST(Sha256, KnownAnswers) {
    EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hex(sha256("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

struct Case {
    const char* name;
    const char* recorded;
    const char* present;
    Match match;
    const char* difference;
};

class Compare : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(
    Identity, Compare,
    testing::Values(
        Case{"equal", "serial=A\nsize=512\n", "serial=A\nsize=512\n", Match::same, ""},
        Case{"one_strong_fact_of_two_is_left", "serial=A\nsize=512\nwwn=0x5\n",
             "serial=A\nsize=512\n", Match::same, ""},
        Case{"size_differs", "serial=A\nsize=512\n", "serial=A\nsize=1024\n", Match::different,
             "size was 512, is 1024"},
        Case{"size_and_serial_differ", "serial=A\nsize=512\n", "serial=B\nsize=1024\n",
             Match::different, "serial was A, is B; size was 512, is 1024"},
        Case{"serial_differs", "serial=WD-123\nsize=512\n", "serial=WD-456\nsize=512\n",
             Match::only_serials, "serial was WD-123, is WD-456"},
        Case{"serial_and_wwn_differ", "serial=A\nsize=512\nwwn=0x1\n",
             "serial=B\nsize=512\nwwn=0x2\n", Match::only_serials,
             "serial was A, is B; wwn was 0x1, is 0x2"},
        Case{"a_clone_keeps_its_partuuid_but_not_its_serial", "partuuid=p\nserial=A\nsize=512\n",
             "partuuid=p\nserial=B\nsize=512\n", Match::only_serials, "serial was A, is B"},
        Case{"partuuid_differs", "partuuid=p\nserial=A\nsize=512\n",
             "partuuid=q\nserial=A\nsize=512\n", Match::different, "partuuid was p, is q"},
        Case{"partuuid_and_serial_differ", "partuuid=p\nserial=A\nsize=512\n",
             "partuuid=q\nserial=B\nsize=512\n", Match::different,
             "partuuid was p, is q; serial was A, is B"},
        Case{"another_partition_of_the_disk", "offset=512\nserial=A\nsize=512\n",
             "offset=1024\nserial=A\nsize=512\n", Match::different, "offset was 512, is 1024"},
        Case{"no_offset_is_offset_0", "offset=512\nserial=A\nsize=512\n", "serial=A\nsize=512\n",
             Match::different, "offset was 512, is 0"},
        Case{"offset_0_was_no_offset", "serial=A\nsize=512\n", "offset=512\nserial=A\nsize=512\n",
             Match::different, "offset was 0, is 512"},
        Case{"image_equal", "birth=1.5\nfs=u\ninode=7\nsize=512\n",
             "birth=1.5\nfs=u\ninode=7\nsize=512\n", Match::same, ""},
        Case{"image_whose_host_is_not_told", "birth=1.5\nfs=u\ninode=7\nsize=512\n",
             "birth=1.5\ninode=7\nsize=512\n", Match::same, ""},
        Case{"image_on_a_copied_file_system", "birth=1.5\nfs=u\ninode=7\nsize=512\n",
             "birth=1.5\nfs=v\ninode=7\nsize=512\n", Match::different, "fs was u, is v"},
        Case{"image_copied", "birth=1.5\nfs=u\ninode=7\nsize=512\n",
             "birth=2.5\nfs=u\ninode=8\nsize=512\n", Match::different,
             "birth was 1.5, is 2.5; inode was 7, is 8"},
        Case{"inode_used_again", "birth=1.5\nfs=u\ninode=7\nsize=512\n",
             "birth=2.5\nfs=u\ninode=7\nsize=512\n", Match::different, "birth was 1.5, is 2.5"},
        Case{"inode_without_birth_is_weak", "fs=u\ninode=7\nsize=512\n",
             "fs=u\ninode=7\nsize=512\n", Match::weak, ""},
        Case{"not_everybody_is_told_the_host", "fs=u\ninode=7\nsize=512\n", "inode=7\nsize=512\n",
             Match::weak, ""},
        Case{"a_weak_fact_that_is_gone", "fs=u\ninode=7\nsize=512\n", "size=512\n", Match::unproven,
             "no strong fact is shared: was fs=u inode=7, is nothing but the size"},
        Case{"another_inode_is_another_file", "inode=7\nsize=512\n", "inode=8\nsize=512\n",
             Match::different, "inode was 7, is 8"},
        Case{"size_alone_proves_nothing", "size=512\n", "size=512\n", Match::weak, ""},
        Case{"more_is_known_now", "size=512\n", "serial=A\nsize=512\n", Match::weak, ""},
        Case{"a_copy_has_the_partuuid_too", "partuuid=p\nserial=A\nsize=512\n",
             "partuuid=p\nsize=512\n", Match::unproven,
             "only the partition UUID is shared, which a copy has, too: was partuuid=p serial=A, "
             "is partuuid=p"},
        Case{"a_partuuid_where_nothing_else_was_known", "partuuid=p\nsize=512\n",
             "partuuid=p\nserial=A\nsize=512\n", Match::same, ""},
        Case{"the_partuuid_of_a_table_without_a_number", "partuuid=00000000-01\nsize=512\n",
             "partuuid=00000000-01\nsize=512\n", Match::weak, ""},
        Case{"image_moved_to_a_disk", "birth=1.5\ninode=7\nsize=512\n", "serial=A\nsize=512\n",
             Match::unproven, "no strong fact is shared: was birth=1.5 inode=7, is serial=A"},
        Case{"nothing_recorded", "", "serial=A\nsize=512\n", Match::different,
             "the size was not recorded"},
        Case{"garbage_recorded", "\n\n=\nsize\nsize=5\x1b[2J\nsize=512\nserial=A",
             "serial=A\nsize=512\n", Match::different, "size was 5?[2J, is 512"}),
    [](const auto& info) { return info.param.name; });

TEST_P(Compare, SaysWhatDiffers) {
    const Case& c = GetParam();
    const Comparison comparison = compare_identity(c.recorded, found(c.present));
    EXPECT_EQ(comparison.match, c.match);
    EXPECT_EQ(comparison.difference, c.difference);
}

TEST(Identity, P7_WhatIsRecordedLosesNothing) {
    EXPECT_EQ(united_identity("birth=1.5\ninode=7\nsize=512\n",
                              found("birth=1.5\nfs=u\ninode=7\nsize=512\n")),
              "birth=1.5\nfs=u\ninode=7\nsize=512\n");
    EXPECT_EQ(united_identity("serial=A\nsize=512\nwwn=0x5\n", found("serial=A\nsize=512\n")),
              "serial=A\nsize=512\nwwn=0x5\n");
    const std::string all = "serial=" + std::string(600, 'x') + "\nsize=512\n";
    EXPECT_EQ(united_identity(all, found("mduuid=" + std::string(40, 'y') + "\n" + all)), all)
        << "it would be cut";
}

TEST(Identity, OfAnImageIsItsFileNotItsName) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", 1 << 20);
    const Identity before = identity_of(path);
    EXPECT_TRUE(has(before, "size=1048576\n"));
    EXPECT_TRUE(has(before, "inode="));
    EXPECT_FALSE(has(before, "offset="));
    EXPECT_EQ(hex(before.digest), hex(sha256(before.text)));
    EXPECT_LE(before.text.size(), 639u);

    std::filesystem::rename(path, dir.path() + "/b");
    EXPECT_EQ(identity_of(dir.path() + "/b").text, before.text);
    EXPECT_EQ(compare_identity(before.text, identity_of(dir.path() + "/b")).match, Match::same);

    std::filesystem::copy_file(dir.path() + "/b", path);
    const Comparison copied = compare_identity(before.text, identity_of(path));
    EXPECT_EQ(copied.match, Match::different) << copied.difference;
    EXPECT_NE(copied.difference.find("inode was "), std::string::npos) << copied.difference;
}

TEST(Identity, KeysAreInAscendingOrder) {
    const test::ScratchDir dir;
    const Identity identity = identity_of(dir.image("a", 1 << 20));
    std::string previous;
    std::istringstream lines(identity.text);
    for (std::string line; std::getline(lines, line); previous = line)
        EXPECT_LT(previous.substr(0, previous.find('=')), line.substr(0, line.find('=')));
}

TEST(Identity, WhatCannotBeExaminedIsRefused) { EXPECT_THROW(identify(-1, 512), Refusal); }

TEST(Identity, OfALoopDeviceIsThatOfItsFile) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", 4 << 20);
    const test::LoopDevice whole(path), part(path, "--offset 1048576");
    DMREMAP_NEED_LOOP(whole);
    DMREMAP_NEED_LOOP(part);
    EXPECT_EQ(identity_of(whole.node()).text, identity_of(path).text);
    EXPECT_TRUE(has(identity_of(part.node()), "offset=1048576\n"));
    EXPECT_TRUE(has(identity_of(part.node()), "size=3145728\n"));
    EXPECT_TRUE(has(identity_of(part.node()), "inode="));
}

TEST(Identity, OfALoopDeviceOverALoopDeviceAddsTheOffsets) {
    const test::ScratchDir dir;
    const test::LoopDevice below(dir.image("a", 4 << 20), "--offset 1048576");
    DMREMAP_NEED_LOOP(below);
    const test::LoopDevice above(below.node(), "--offset 524288");
    DMREMAP_NEED_LOOP(above);
    const Identity identity = identity_of(above.node());
    EXPECT_TRUE(has(identity, "offset=1572864\n")) << identity.text;
    EXPECT_TRUE(has(identity, "inode=")) << identity.text;
}

TEST(Identity, OfAPartitionHasItsUuidAndItsPlace) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", 4 << 20);
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(440);
        file << std::string("\x78\x56\x34\x12\0\0", 6);
        file << std::string("\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x08\0\0", 16);
        file.seekp(510);
        file << "\x55\xaa";
    }
    test::LoopDevice loop(path);
    DMREMAP_NEED_LOOP(loop);
    const std::string partition = loop.add_partition(1, 2048, 2048);
    if (partition.empty()) GTEST_SKIP() << "NOT TESTED: /dev shows no partitions";
    const Identity identity = identity_of(partition);
    EXPECT_TRUE(has(identity, "partuuid=12345678-01\n")) << identity.text;
    EXPECT_TRUE(has(identity, "offset=1048576\n")) << identity.text;
    EXPECT_TRUE(has(identity, "inode=")) << identity.text;
    EXPECT_TRUE(has(identity, "size=1048576\n")) << identity.text;
}

}  // namespace
}  // namespace dmremap
