// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/pair.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <memory>

#include "core/format.h"
#include "core/pair/pair_check.h"
#include "core/refusal.h"
#include "tests/unit/scratch.h"

namespace dmremap {
namespace {

using test::run;

constexpr std::uint64_t kSize = 16 << 20;

PairOptions at_once() {
    PairOptions options;
    options.lock_wait_seconds = 0;
    return options;
}

// "" when the pair opens, otherwise the sentence; the kind goes to `kind`.
std::string refused(const std::string& main, const std::string& spare,
                    PairOptions options = at_once(), RefusalKind* kind = nullptr) {
    try {
        open_pair(main, spare, options);
    } catch (const Refusal& refusal) {
        if (kind != nullptr) *kind = refusal.kind();
        return refusal.what();
    }
    return "";
}

void expect_words(const std::string& sentence, std::initializer_list<std::string> words) {
    for (const std::string& word : words)
        EXPECT_NE(sentence.find(word), std::string::npos)
            << "\"" << word << "\" is not in: " << sentence;
}

class Pair : public testing::Test {
protected:
    test::ScratchDir dir_;
    std::string main_ = dir_.image("main", kSize);
    std::string spare_ = dir_.image("spare", kSize);
};

TEST_F(Pair, TwoImagesAreAPair) {
    const DevicePair pair = open_pair(main_, spare_, at_once());
    EXPECT_EQ(pair.main->info().name, main_);
    EXPECT_EQ(pair.spare->info().name, spare_);
    EXPECT_FALSE(pair.main->info().read_only);
    EXPECT_NE(pair.main->info().identity, pair.spare->info().identity);
}

TEST_F(Pair, P7_OnePairIsOpenedOnce) {
    const DevicePair pair = open_pair(main_, spare_, at_once());
    RefusalKind kind{};
    expect_words(refused(main_, spare_, at_once(), &kind), {main_, "in use by this process"});
    EXPECT_EQ(kind, RefusalKind::busy);
    const std::string other = dir_.image("other", kSize);
    expect_words(refused(main_, other), {main_, "in use"});
    expect_words(refused(other, spare_), {spare_, "in use"});
    EXPECT_EQ(refused(other, dir_.image("third", kSize)), "");
    EXPECT_THROW(open_spare(spare_, true, 0), Refusal);
}

TEST_F(Pair, ARefusedPairIsLeftFree) {
    EXPECT_NE(refused(main_, dir_.image("small", 1 << 20)), "");
    EXPECT_EQ(refused(main_, spare_), "");
}

TEST_F(Pair, ReadOnlyPairsShareTheirImages) {
    PairOptions readers = at_once();
    readers.main_read_only = readers.spare_read_only = true;
    const DevicePair first = open_pair(main_, spare_, readers);
    EXPECT_TRUE(first.main->info().read_only);
    EXPECT_EQ(refused(main_, spare_, readers), "");
    EXPECT_NE(refused(main_, spare_), "");
    EXPECT_NO_THROW(open_spare(spare_, true, 0));
}

TEST_F(Pair, MainOpenedForReadingByFormatIsStillOurs) {
    PairOptions format = at_once();
    format.main_read_only = true;
    const DevicePair pair = open_pair(main_, spare_, format);
    EXPECT_TRUE(pair.main->info().read_only);
    EXPECT_FALSE(pair.spare->info().read_only);
    PairOptions readers = at_once();
    readers.main_read_only = readers.spare_read_only = true;
    expect_words(refused(main_, dir_.image("other", kSize), readers), {main_, "in use"});
}

TEST_F(Pair, OneFileTwiceIsRefusedByWhateverName) {
    const std::string hard = dir_.path() + "/hard", soft = dir_.path() + "/soft";
    std::filesystem::create_hard_link(main_, hard);
    std::filesystem::create_symlink(main_, soft);
    for (const std::string& name : {main_, hard, soft}) {
        RefusalKind kind{};
        expect_words(refused(main_, name, at_once(), &kind),
                     {"main " + main_, "spare " + name, "the same file", "another device"});
        EXPECT_EQ(kind, RefusalKind::refused);
    }
}

TEST_F(Pair, ASpareTooSmallIsRefusedWithBothSizes) {
    const std::string small = dir_.image("small", DMR_SPARE_MIN - 512);
    expect_words(refused(main_, small), {small, "8388096 bytes", "8388608 bytes"});
    EXPECT_EQ(refused(main_, dir_.image("least", DMR_SPARE_MIN)), "");
}

TEST_F(Pair, WhatIsMissingIsNamed) {
    RefusalKind kind{};
    expect_words(refused(main_, dir_.path() + "/none", at_once(), &kind),
                 {dir_.path() + "/none does not exist"});
    EXPECT_EQ(kind, RefusalKind::not_found);
}

TEST_F(Pair, BlockSizesMustFit) {
    DeviceInfo main, spare;
    main.name = "M";
    spare.name = "S";
    main.size = spare.size = kSize;
    const auto sentence = [&] {
        try {
            check_spare(spare);
            check_blocks(main, spare);
        } catch (const Refusal& refusal) {
            return std::string(refusal.what());
        }
        return std::string();
    };
    EXPECT_EQ(sentence(), "");
    main.logical_block = 4096;
    EXPECT_EQ(sentence(), "");
    spare.logical_block = 4096;
    EXPECT_EQ(sentence(), "");
    main.logical_block = 512;
    expect_words(sentence(), {"spare S has logical blocks of 4096", "main M of 512"});
    spare.logical_block = 512;
    main.logical_block = 8192;
    expect_words(sentence(), {"main M has logical blocks of 8192"});
    main.logical_block = 512;
    spare.physical_block = 65536;
    EXPECT_EQ(sentence(), "");
    spare.physical_block = 131072;
    expect_words(sentence(), {"spare S", "physical blocks of 131072"});
    spare.physical_block = 16384;
    spare.logical_block = 16384;
    expect_words(sentence(), {"spare S has logical blocks of 16384"});
}

TEST_F(Pair, ALoopDeviceOverTheOtherOneIsRefused) {
    const test::LoopDevice loop(main_);
    DMREMAP_NEED_LOOP(loop);
    expect_words(refused(loop.node(), main_), {loop.node(), main_, "through a loop device"});
    expect_words(refused(main_, loop.node()), {loop.node(), main_, "through a loop device"});
    expect_words(refused(loop.node(), loop.node()), {"the same block device"});
    EXPECT_EQ(refused(loop.node(), spare_), "");
}

TEST_F(Pair, LoopDevicesOverOneFileMayNotOverlap) {
    const std::string file = dir_.image("both", 3 * kSize);
    const auto size = " --sizelimit " + std::to_string(kSize);
    const test::LoopDevice first(file, size);
    const test::LoopDevice second(file, "--offset " + std::to_string(kSize) + size);
    const test::LoopDevice third(file, "--offset " + std::to_string(2 * kSize - 4096) + size);
    DMREMAP_NEED_LOOP(first);
    DMREMAP_NEED_LOOP(second);
    DMREMAP_NEED_LOOP(third);
    expect_words(refused(second.node(), third.node()), {second.node(), third.node(), file});
    // The third stands on bytes of the second, though it is in no pair.
    RefusalKind kind{};
    expect_words(refused(first.node(), second.node(), at_once(), &kind),
                 {"spare " + second.node(), "attached to " + third.node()});
    EXPECT_EQ(kind, RefusalKind::busy);
    EXPECT_NE(refused(first.node(), third.node()), "");
}

TEST_F(Pair, LoopDevicesOverPartsOfOneFileAreAPair) {
    const std::string file = dir_.image("both", 2 * kSize);
    const test::LoopDevice first(file, "--sizelimit " + std::to_string(kSize));
    const test::LoopDevice second(file, "--offset " + std::to_string(kSize));
    DMREMAP_NEED_LOOP(first);
    DMREMAP_NEED_LOOP(second);
    EXPECT_EQ(refused(first.node(), second.node()), "");
}

TEST_F(Pair, AnImageUnderALoopDeviceIsInUse) {
    const test::LoopDevice loop(spare_);
    DMREMAP_NEED_LOOP(loop);
    RefusalKind kind{};
    expect_words(refused(main_, spare_, at_once(), &kind),
                 {"spare " + spare_, "attached to " + loop.node(), "losetup -d " + loop.node()});
    EXPECT_EQ(kind, RefusalKind::busy);
    const test::LoopDevice above(loop.node());
    DMREMAP_NEED_LOOP(above);
    expect_words(refused(main_, loop.node()), {"attached to " + above.node()});
    EXPECT_EQ(refused(main_, above.node()), "") << "what lies below the spare does not use it";
}

class Mounted {
public:
    Mounted(const std::string& what, std::string where) : where_(std::move(where)) {
        std::filesystem::create_directory(where_);
        mounted_ = ::mount(what.c_str(), where_.c_str(), "ext4", 0, nullptr) == 0;
    }
    Mounted(const Mounted&) = delete;
    Mounted& operator=(const Mounted&) = delete;
    ~Mounted() {
        if (!mounted_) return;
        EXPECT_EQ(::umount(where_.c_str()), 0);
    }
    bool ok() const { return mounted_; }

private:
    std::string where_;
    bool mounted_;
};

TEST_F(Pair, AMountedDeviceIsRefusedWithItsMountPoint) {
    run("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F " + main_);
    const test::LoopDevice loop(main_);
    DMREMAP_NEED_LOOP(loop);
    const std::string point = dir_.path() + "/mount point";
    const Mounted mounted(loop.node(), point);
    if (!mounted.ok()) GTEST_SKIP() << "NOT TESTED: ext4 cannot be mounted here";
    RefusalKind kind{};
    expect_words(refused(loop.node(), spare_, at_once(), &kind),
                 {"main " + loop.node(), "mounted on " + point, "umount"});
    EXPECT_EQ(kind, RefusalKind::busy);
    expect_words(refused(spare_, loop.node()), {"spare " + loop.node(), "mounted on " + point});
    expect_words(refused(main_, spare_), {"main " + main_, "mounted on " + point});
    PairOptions readers = at_once();
    readers.main_read_only = readers.spare_read_only = true;
    expect_words(refused(loop.node(), spare_, readers), {"mounted on " + point});
}

// A disk of 48 MiB with two partitions of 16 MiB at 1 MiB and at 20 MiB.
class PairOfPartitions : public Pair {
protected:
    void SetUp() override {
        loop_ = std::make_unique<test::LoopDevice>(disk_);
        DMREMAP_NEED_LOOP(*loop_);
        first_ = loop_->add_partition(1, 2048, 32768);
        second_ = loop_->add_partition(2, 40960, 32768);
        if (first_.empty()) GTEST_SKIP() << "NOT TESTED: /dev shows no partitions";
    }
    std::string disk_ = dir_.image("disk", 48 << 20);
    std::unique_ptr<test::LoopDevice> loop_;
    std::string first_, second_;
};

TEST_F(PairOfPartitions, OfOneDiskIsAllowedWithANote) {
    const DevicePair pair = open_pair(first_, second_, at_once());
    EXPECT_EQ(pair.main->info().size, kSize);
    expect_words(pair.spare->info().note, {first_, second_, "partitions of one disk"});
    EXPECT_EQ(pair.main->info().note.find("partitions"), std::string::npos);
}

TEST_F(PairOfPartitions, WithTheWholeDiskIsRefused) {
    expect_words(refused(loop_->node(), second_),
                 {loop_->node(), second_, "overlap", "20971520 to 37748736"});
    expect_words(refused(first_, loop_->node()), {first_, loop_->node(), "overlap"});
}

TEST_F(PairOfPartitions, AMountedPartitionMakesItsDiskMounted) {
    run("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F " + first_);
    const std::string point = dir_.path() + "/m";
    const Mounted mounted(first_, point);
    if (!mounted.ok()) GTEST_SKIP() << "NOT TESTED: ext4 cannot be mounted here";
    expect_words(refused(loop_->node(), spare_), {loop_->node(), "mounted on " + point});
    expect_words(refused(first_, spare_), {first_, "mounted on " + point});
    EXPECT_EQ(refused(second_, spare_), "");
}

TEST_F(Pair, AReadOnlyDeviceNeedsAReadOnlyPair) {
    const test::LoopDevice loop(main_, "--read-only");
    DMREMAP_NEED_LOOP(loop);
    expect_words(refused(loop.node(), spare_),
                 {"main " + loop.node(), "cannot be written", "-o ro"});
    expect_words(refused(spare_, loop.node()), {"spare " + loop.node(), "cannot be written"});
    PairOptions readers = at_once();
    readers.main_read_only = readers.spare_read_only = true;
    EXPECT_EQ(refused(loop.node(), spare_, readers), "");
}

TEST_F(Pair, SwapSpaceIsRefused) {
    const test::LoopDevice loop(main_);
    DMREMAP_NEED_LOOP(loop);
    run("PATH=$PATH:/sbin:/usr/sbin mkswap " + loop.node());
    try {
        run("PATH=$PATH:/sbin:/usr/sbin swapon " + loop.node());
    } catch (const std::runtime_error& error) {
        GTEST_SKIP() << "NOT TESTED: " << error.what();
    }
    const std::string sentence = refused(loop.node(), spare_);
    EXPECT_NO_THROW(run("PATH=$PATH:/sbin:/usr/sbin swapoff " + loop.node()));
    expect_words(sentence, {"main " + loop.node(), "swap space", "swapoff"});
}

}  // namespace
}  // namespace dmremap
