// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/pair/allocate_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "core/device/unique_fd.h"
#include "core/refusal.h"

namespace dmremap {
namespace {

class AllocateImage : public testing::Test {
protected:
    ~AllocateImage() override { ::unlink(path_.c_str()); }

    struct stat facts() const {
        struct stat result {};
        EXPECT_EQ(::fstat(file_.get(), &result), 0);
        return result;
    }

    std::string path_ = testing::TempDir() + "dmremap_allocate_XXXXXX";
    UniqueFd file_{::mkstemp(path_.data())};
};

TEST_F(AllocateImage, GivesASparseImageItsSpaceAndKeepsTheRest) {
    constexpr off_t size = 4 << 20;
    ASSERT_EQ(::ftruncate(file_.get(), size), 0);
    ASSERT_EQ(::pwrite(file_.get(), "data", 4, 1 << 20), 4);
    EXPECT_LT(facts().st_blocks * 512, size);
    EXPECT_EQ(allocate_image(FoundDevice(path_)), "");
    EXPECT_GE(facts().st_blocks * 512, size);
    EXPECT_EQ(facts().st_size, size);
    char data[5]{};
    ASSERT_EQ(::pread(file_.get(), data, 4, 1 << 20), 4);
    EXPECT_STREQ(data, "data");
    ASSERT_EQ(::pread(file_.get(), data, 4, 2 << 20), 4);
    EXPECT_EQ(std::string(data, 4), std::string(4, '\0'));
}

// A file system filled up by a format that failed would be a second damage.
TEST_F(AllocateImage, RefusesWhatDoesNotFitAndAllocatesNothing) {
    struct statvfs host {};
    ASSERT_EQ(::fstatvfs(file_.get(), &host), 0);
    const std::uint64_t left = static_cast<std::uint64_t>(host.f_bavail) * host.f_frsize;
    if (::ftruncate(file_.get(), static_cast<off_t>(2 * left + (1ull << 30))) != 0)
        GTEST_SKIP() << "no file may be larger than the free space here";
    try {
        allocate_image(FoundDevice(path_));
        FAIL() << "more was allocated than there is";
    } catch (const Refusal& refusal) {
        EXPECT_EQ(refusal.kind(), RefusalKind::refused);
        EXPECT_NE(std::string(refusal.what()).find("make room"), std::string::npos);
    }
    EXPECT_LT(facts().st_blocks, 128);
}

// The path may lead elsewhere by the time space is asked for.
TEST_F(AllocateImage, P7_AllocatesWhatWasFoundNotWhatThePathLeadsToNow) {
    constexpr off_t size = 4 << 20;
    ASSERT_EQ(::ftruncate(file_.get(), size), 0);
    const FoundDevice found(path_);
    std::string other = path_ + "XXXXXX";
    const UniqueFd swapped(::mkstemp(other.data()));
    ASSERT_EQ(::ftruncate(swapped.get(), size), 0);
    ASSERT_EQ(::rename(other.c_str(), path_.c_str()), 0);
    EXPECT_EQ(allocate_image(found), "");
    EXPECT_GE(facts().st_blocks * 512, size);
    struct stat untouched {};
    ASSERT_EQ(::fstat(swapped.get(), &untouched), 0);
    EXPECT_EQ(untouched.st_blocks, 0);
}

}  // namespace
}  // namespace dmremap
