// SPDX-License-Identifier: GPL-2.0-or-later
// What users, fstab and mount(8) may write, and what is told to those who write something else.
#include "fuse/mount_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/refusal.h"

namespace dmremap {
namespace {

using Words = std::vector<std::string>;

MountOptions parse(const Words& words) {
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    argv.push_back(nullptr);
    return parse_mount_options(static_cast<int>(words.size()), argv.data());
}

// The sentence of the refusal; it must be one of usage.
std::string refusal(const Words& words) {
    try {
        parse(words);
    } catch (const Refusal& refusal) {
        EXPECT_EQ(refusal.kind(), RefusalKind::usage);
        return refusal.what();
    }
    ADD_FAILURE() << "was accepted";
    return "";
}

std::string refused_option(const std::string& list) {
    return refusal({"dmremapfs", "main", "/mnt", "-o", "spare=s," + list});
}

TEST(MountOptions, TheUsualCommand) {
    const auto o = parse({"dmremapfs", "/dev/sdb", "/mnt", "-o", "spare=/dev/sdc"});
    EXPECT_EQ(o.program, "dmremapfs");
    EXPECT_EQ(o.main, "/dev/sdb");
    EXPECT_EQ(o.mountpoint, "/mnt");
    EXPECT_EQ(o.spare, "/dev/sdc");
    EXPECT_EQ(o.image, "disk.img");
    EXPECT_EQ(o.log_level, "");
    EXPECT_FALSE(o.read_only || o.rescue || o.accept_changed_main || o.take_over || o.demo_size ||
                 o.foreground || o.fake || o.help || o.version);
    EXPECT_TRUE(o.kernel_options.empty());
}

TEST(MountOptions, WhoseTheFilesAre) {
    const auto o = parse({"dmremapfs", "m", "d", "-o", "spare=s,uid=1000,gid=0,umask=027"});
    EXPECT_EQ(o.uid, 1000u);
    EXPECT_EQ(o.gid, 0u);
    EXPECT_EQ(o.umask, 027u);
    const auto usual = parse({"dmremapfs", "m", "d", "-o", "spare=s"});
    EXPECT_FALSE(usual.uid || usual.gid || usual.umask);
    for (const char* bad : {"uid=root", "uid=-1", "uid=4294967295", "gid=4294967296", "umask=8",
                            "umask=1000", "umask=u+r", "uid", "umask="})
        EXPECT_NE(refused_option(bad).find("option "), std::string::npos) << bad;
}

TEST(MountOptions, EveryOwnOption) {
    const auto o = parse({"dmremapfs", "m", "d", "-o", "spare=s,ro,rescue,accept_changed_main",
                          "-o", "take_over,foreground,image=a b.img,inject=f",
                          "-olog_level=warn,max_threads=3,engine=ring,io_uring=auto,poll"});
    EXPECT_TRUE(o.read_only && o.rescue && o.accept_changed_main && o.take_over && o.foreground);
    EXPECT_EQ(o.image, "a b.img");
    EXPECT_EQ(o.inject, "f");
    EXPECT_EQ(o.log_level, "warning");
    EXPECT_EQ(o.max_threads, 3u);
    EXPECT_EQ(o.engine, Engine::ring);
    EXPECT_EQ(o.io_uring, IoUring::automatic);
    EXPECT_TRUE(o.poll);
    EXPECT_FALSE(parse({"dmremapfs", "m", "d", "-o", "spare=s"}).poll);
}

TEST(MountOptions, AsMount8CallsIt) {
    const auto o = parse({"/sbin/mount.dmremapfs", "/dev/sdb", "/mnt", "-sfnv", "-o",
                          "rw,spare=/dev/sdc", "-N", "/proc/7/fd/3", "-t", "dmremapfs"});
    EXPECT_EQ(o.program, "mount.dmremapfs");
    EXPECT_TRUE(o.fake);
    EXPECT_FALSE(o.foreground);
    EXPECT_EQ(o.log_level, "debug");
    EXPECT_EQ(o.mount_namespace, "/proc/7/fd/3");
    EXPECT_EQ(o.spare, "/dev/sdc");
}

TEST(MountOptions, FMeansForegroundToAUser) {
    const auto o = parse({"dmremapfs", "-f", "m", "d", "-o", "spare=s"});
    EXPECT_TRUE(o.foreground);
    EXPECT_FALSE(o.fake);
}

TEST(MountOptions, ExplicitLogLevelBeatsVerbose) {
    EXPECT_EQ(parse({"dmremapfs", "m", "d", "-v", "-o", "spare=s,log_level=error"}).log_level,
              "error");
}

TEST(MountOptions, TheLastOfRoAndRwWins) {
    EXPECT_FALSE(parse({"dmremapfs", "m", "d", "-r", "-o", "spare=s,ro,rw"}).read_only);
    EXPECT_TRUE(parse({"dmremapfs", "m", "d", "-o", "spare=s,rw,ro"}).read_only);
    EXPECT_TRUE(parse({"dmremapfs", "m", "d", "-r", "-o", "spare=s"}).read_only);
}

TEST(MountOptions, GenericOptionsAreUnderstood) {
    const auto o = parse(
        {"mount.dmremapfs", "m", "d", "-o",
         "spare=s,defaults,auto,noauto,user,user=joe,users,owner,group,nofail,_netdev,relatime,"
         "x-systemd.automount,X-mount.mkdir=0755,comment=a word,nodiratime,lazytime,mand,silent"});
    EXPECT_TRUE(o.kernel_options.empty());
}

TEST(MountOptions, SomeGoOnToTheKernelInOrder) {
    const auto o =
        parse({"mount.dmremapfs", "m", "d", "-o",
               "nosuid,suid,nodev,noexec,sync,noatime,allow_other,spare=s,context=\"u:r,t\""});
    EXPECT_EQ(o.kernel_options, (Words{"nosuid", "suid", "nodev", "noexec", "sync", "noatime",
                                       "allow_other", "context=\"u:r,t\""}));
}

TEST(MountOptions, UnknownOptionsAreNamed) {
    EXPECT_EQ(refused_option("spaer=x"), "unknown option \"spaer=x\"");
    EXPECT_EQ(refused_option("fsname=x"), "unknown option \"fsname=x\"");
    EXPECT_EQ(refused_option("nosuid=1"), "unknown option \"nosuid=1\"");
    EXPECT_NE(refused_option("remount").find("unmount, then mount"), std::string::npos);
}

TEST(MountOptions, SloppyIgnoresTheUnknownButNotTheWrong) {
    EXPECT_NO_THROW(parse({"mount.dmremapfs", "m", "d", "-s", "-o", "spare=s,spaer=x"}));
    EXPECT_NE(refusal({"mount.dmremapfs", "m", "d", "-s", "-o", "spare=s,image=a/b"}), "");
}

TEST(MountOptions, ValuesAreChecked) {
    for (const char* list :
         {"image=", "image=a/b", "image=..", "image=control", "image", "log_level=loud",
          "max_threads=0", "max_threads=4x", "max_threads=-1", "max_threads=99999999999",
          "engine=fast", "engine", "io_uring=yes", "io_uring", "ro=1", "spare", "inject="})
        EXPECT_NE(refused_option(list), "") << list;
    EXPECT_NE(refused_option("image=" + std::string(256, 'x')), "");
}

TEST(MountOptions, DemoSizes) {
    const auto demo = [](const std::string& word) {
        return parse({"dmremapfs", "demo", "d", "-o", word}).demo_size;
    };
    EXPECT_EQ(demo("demo"), 64ull << 20);
    EXPECT_EQ(demo("demo=16M"), 16ull << 20);
    EXPECT_EQ(demo("demo=2g"), 2ull << 30);
    EXPECT_EQ(demo("demo=33554432"), 32ull << 20);
    for (const char* size : {"demo=", "demo=x", "demo=1M", "demo=64MB", "demo=67108865", "demo=2T",
                             "demo=-64M", "demo=99999999999T", "demo=64 M"})
        EXPECT_NE(refusal({"dmremapfs", "demo", "d", "-o", size}), "") << size;
}

TEST(MountOptions, WordsThatNeedOrExcludeEachOther) {
    EXPECT_NE(refusal({"dmremapfs"}).find("MAIN"), std::string::npos);
    EXPECT_NE(refusal({"dmremapfs", "m"}).find("MOUNTPOINT"), std::string::npos);
    EXPECT_NE(refusal({"dmremapfs", "m", "d"}).find("spare=SPARE"), std::string::npos);
    EXPECT_NE(refusal({"dmremapfs", "m", "d", "e", "-o", "spare=s"}).find("more than"),
              std::string::npos);
    EXPECT_NE(refused_option("rescue").find("needs ro"), std::string::npos);
    EXPECT_NE(refused_option("demo").find("spare=s"), std::string::npos);
}

TEST(MountOptions, UnknownSwitchesAreNamed) {
    EXPECT_NE(refusal({"dmremapfs", "m", "d", "-x"}).find("-x"), std::string::npos);
    EXPECT_NE(refusal({"dmremapfs", "m", "d", "--hel"}).find("--hel"), std::string::npos);
}

// What Boost would put its own words into, over and over.
TEST(MountOptions, PlaceholdersInAWord) {
    EXPECT_FALSE(refusal({"dmremapfs", "m", "d", "--%original_token%"}).empty());
    EXPECT_FALSE(refusal({"dmremapfs", "m", "d", "---%canonical_option%"}).empty());
    EXPECT_EQ(parse({"dmremapfs", "%option%", "/m", "-o", "spare=%value%"}).main, "%option%");
}

TEST(MountOptions, HelpAndVersionNeedNothingElse) {
    EXPECT_TRUE(parse({"dmremapfs", "--help"}).help);
    EXPECT_TRUE(parse({"dmremapfs", "-V"}).version);
    EXPECT_NE(mount_usage("dmremapfs").find("spare=SPARE"), std::string::npos);
}

TEST(MountOptions, Splitting) {
    EXPECT_EQ(split_options("a,b=c"), (Words{"a", "b=c"}));
    EXPECT_EQ(split_options(",,a,"), (Words{"a"}));
    EXPECT_EQ(split_options(R"(spare=/a\,b\\c\d,ro)"), (Words{R"(spare=/a,b\c\d)", "ro"}));
    EXPECT_EQ(split_options(R"(context="x,y",ro)"), (Words{R"(context="x,y")", "ro"}));
    EXPECT_THROW(split_options(R"(context="x,y)"), Refusal);
    EXPECT_TRUE(split_options("").empty());
}

}  // namespace
}  // namespace dmremap
