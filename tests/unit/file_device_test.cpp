// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/file_device.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <vector>

#include "core/device/aligned_buffers.h"
#include "core/device/thread_pool.h"
#include "core/device/unique_fd.h"
#include "core/pair/allocate_image.h"
#include "core/refusal.h"
#include "tests/unit/scratch.h"

namespace dmremap {
namespace {

constexpr std::uint64_t kSize = 4 << 20;

FileOptions at_once() {
    FileOptions options;
    options.lock_wait_seconds = 0;
    return options;
}

std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 131 + i / 512 * 7 + seed) & 0xff);
    return bytes;
}

std::uint64_t blocks(const std::string& path) {
    struct stat st;
    return ::stat(path.c_str(), &st) == 0 ? static_cast<std::uint64_t>(st.st_blocks) * 512 : 0;
}

// The refusal that f() throws.
template <class F>
Refusal refusal(F f) {
    try {
        f();
    } catch (const Refusal& thrown) {
        return thrown;
    }
    ADD_FAILURE() << "nothing was refused";
    return {RefusalKind::system, ""};
}

#define EXPECT_SAYS(refusal, words)                                         \
    EXPECT_NE(std::string((refusal).what()).find(words), std::string::npos) \
        << "said: " << (refusal).what()

// Every way of reaching a file: on disk and in memory, direct and through the page cache, in the
// submitting thread and on a pool.
struct Way {
    const char* parent;
    bool direct;
    bool pool;
};

class FileDeviceWays : public testing::TestWithParam<Way> {
protected:
    FileOptions options() const {
        FileOptions how = at_once();
        how.direct = GetParam().direct;
        if (GetParam().pool) how.pool = std::make_shared<ThreadPool>(2);
        return how;
    }
    test::ScratchDir dir_{GetParam().parent};
};

INSTANTIATE_TEST_SUITE_P(All, FileDeviceWays,
                         testing::Values(Way{"/tmp", true, false}, Way{"/tmp", false, false},
                                         Way{"/tmp", true, true}, Way{"/dev/shm", true, false},
                                         Way{"/dev/shm", false, true}));

TEST_P(FileDeviceWays, SaysWhatItIs) {
    const std::string path = dir_.image("a", kSize + 512);
    const auto device = open_file_device(path, options());
    EXPECT_EQ(device->info().name, path);
    EXPECT_EQ(device->info().size, kSize + 512);
    EXPECT_EQ(device->info().logical_block, 512u);
    EXPECT_EQ(device->info().physical_block, 4096u);
    EXPECT_FALSE(device->info().read_only);
    EXPECT_NE(device->info().identity.find("size=4194816\n"), std::string::npos);
    if (!GetParam().direct) {
        EXPECT_NE(device->info().note.find("through the page cache"), std::string::npos)
            << device->info().note;
    }
}

TEST_P(FileDeviceWays, KeepsWhatIsWrittenFromMemoryOfAnyAlignment) {
    const auto device = open_file_device(dir_.image("a", kSize), options());
    for (const std::size_t length : {512u, 4096u, 1536u, 700u * 1024}) {
        for (const std::size_t shift : {0u, 1u, 511u, 2048u}) {
            const auto wanted = pattern(length, static_cast<unsigned>(shift + length));
            std::vector<std::byte> memory(length + 4096 + 8);
            std::byte* const data = memory.data() + shift;
            std::memcpy(data, wanted.data(), length);
            ASSERT_EQ(device->write(3 * 512, data, length), 0);
            EXPECT_EQ(std::memcmp(data, wanted.data(), length), 0) << "a write changed its source";
            std::memset(data, 0xee, length);
            data[length] = std::byte{0x5a};
            ASSERT_EQ(device->read(3 * 512, data, length), 0);
            EXPECT_EQ(std::memcmp(data, wanted.data(), length), 0) << length << " at " << shift;
            EXPECT_EQ(data[length], std::byte{0x5a}) << "wrote past the end of the memory";
        }
    }
    EXPECT_EQ(device->flush(), 0);
}

TEST_P(FileDeviceWays, OutsideTheDeviceOrItsBlocksIsRefused) {
    const auto device = open_file_device(dir_.image("a", kSize), options());
    auto data = pattern(8192, 0);
    EXPECT_EQ(device->read(kSize, data.data(), 512), EINVAL);
    EXPECT_EQ(device->write(kSize - 512, data.data(), 1024), EINVAL);
    EXPECT_EQ(device->read(~0ull - 511, data.data(), 1024), EINVAL);
    EXPECT_EQ(device->zero(512, ~0ull - 511), EINVAL);
    EXPECT_EQ(device->read(1, data.data(), 512), EINVAL);
    EXPECT_EQ(device->read(0, data.data(), 511), EINVAL);
    EXPECT_EQ(device->read(kSize - 512, data.data(), 512), 0);
    EXPECT_EQ(device->read(kSize, data.data(), 0), 0);
}

TEST_P(FileDeviceWays, AFileCutOffBehindOurBackIsAnErrorNotAShortRead) {
    const std::string path = dir_.image("a", kSize);
    const auto device = open_file_device(path, options());
    auto data = pattern(16384, 1);
    ASSERT_EQ(device->write(0, data.data(), data.size()), 0);
    ASSERT_EQ(::truncate(path.c_str(), 8192 + 100), 0);
    EXPECT_EQ(device->read(0, data.data(), 8192), 0);
    EXPECT_EQ(device->read(0, data.data(), 16384), ENODEV) << "no fault of a place: nothing moves";
    EXPECT_EQ(device->read(8192, data.data(), 512), ENODEV);
    EXPECT_EQ(device->read(12288, data.data(), 512), ENODEV);
    auto* const memory = data.data() + 1;
    EXPECT_EQ(device->read(4096, memory, 8192), ENODEV) << "through the bounce buffer";
}

TEST_P(FileDeviceWays, ZeroedRangesReadAsZerosAndNothingElseChanges) {
    for (const bool allocate : {false, true}) {
        const std::string path = dir_.image("a", kSize);
        if (allocate) allocate_image(FoundDevice(path));
        const auto device = open_file_device(path, options());
        const auto before = pattern(kSize, 5);
        const std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges = {
            {0, 512},           {512, 3584},         {8192, 4096}, {16384 + 512, 512 * 1024},
            {1 << 20, 1 << 20}, {kSize - 1024, 1024}};
        for (const auto& [offset, length] : ranges) {
            ASSERT_EQ(device->write(0, before.data(), kSize), 0);
            ASSERT_EQ(device->zero(offset, length), 0);
            auto wanted = before;
            std::memset(wanted.data() + offset, 0, length);
            std::vector<std::byte> found(kSize);
            ASSERT_EQ(device->read(0, found.data(), kSize), 0);
            EXPECT_TRUE(found == wanted) << offset << "+" << length << " allocate " << allocate;
        }
        EXPECT_EQ(device->flush(), 0);
    }
}

TEST_P(FileDeviceWays, DiscardedRangesReadAsBeforeOrZerosAndNothingElseChanges) {
    const auto device = open_file_device(dir_.image("a", kSize), options());
    const auto before = pattern(kSize, 6);
    ASSERT_EQ(device->write(0, before.data(), kSize), 0);
    ASSERT_EQ(device->discard(4096 + 512, 65536), 0);
    ASSERT_EQ(device->discard(512 * 1024, 512), 0);
    std::vector<std::byte> found(kSize);
    ASSERT_EQ(device->read(0, found.data(), kSize), 0);
    for (std::size_t i = 0; i < kSize; ++i) {
        const bool inside = (i >= 4608 && i < 4608 + 65536) || (i >= 524288 && i < 524800);
        ASSERT_TRUE(found[i] == before[i] || (inside && found[i] == std::byte{0})) << i;
    }
}

TEST_P(FileDeviceWays, ManyRequestsAtOnceEachCompleteOnce) {
    const auto device = open_file_device(dir_.image("a", kSize), options());
    constexpr std::size_t kCount = 64;
    const auto data = pattern(kCount * 4096, 9);
    std::vector<std::byte> source = data;
    struct Batch {
        std::atomic<int> left{static_cast<int>(kCount)};
        std::promise<void> end;
    } batch;
    std::array<Io, kCount> ios;
    for (std::size_t i = 0; i < kCount; ++i) {
        ios[i].op = Op::write;
        ios[i].offset = (kCount - 1 - i) * 4096;
        ios[i].length = 4096;
        ios[i].data = source.data() + ios[i].offset;
        ios[i].error = -1;
        ios[i].context = &batch;
        ios[i].done = [](Io& io) {
            Batch& all = *static_cast<Batch*>(io.context);
            if (--all.left == 0) all.end.set_value();
        };
        device->submit(ios[i]);
    }
    batch.end.get_future().wait();
    for (const Io& io : ios) EXPECT_EQ(io.error, 0);
    std::vector<std::byte> found(data.size());
    ASSERT_EQ(device->read(0, found.data(), found.size()), 0);
    EXPECT_TRUE(found == data);
}

TEST(FileDevice, DirectIoIsTakenOnThisDiskAndItsWritesReachTheFile) {
    const test::ScratchDir dir("/tmp");
    const std::string path = dir.image("a", kSize);
    const auto device = open_file_device(path, at_once());
    const bool direct = device->info().note.find("page cache") == std::string::npos;
    if (!direct) GTEST_SKIP() << "NOT TESTED: /tmp has no direct I/O: " << device->info().note;
    const auto data = pattern(4096, 3);
    ASSERT_EQ(device->write(8192, data.data(), data.size()), 0);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<std::byte> found(4096);
    ASSERT_EQ(::pread(fd.get(), found.data(), 4096, 8192), 4096);
    EXPECT_TRUE(found == data);
}

TEST(FileDevice, AnImageKeepsTheSpaceItHadAndASparseOneStaysSparse) {
    const test::ScratchDir dir("/tmp");
    const std::string sparse = dir.image("sparse", kSize), full = dir.image("full", kSize);
    const auto data = pattern(kSize, 2);
    {
        FileOptions how = at_once();
        const auto device = open_file_device(sparse, how);
        ASSERT_EQ(device->write(0, data.data(), 1 << 20), 0);
        ASSERT_EQ(device->zero(0, kSize), 0);
        EXPECT_LT(blocks(sparse), 65536u);
        if (const std::string note = allocate_image(FoundDevice(full)); !note.empty())
            GTEST_SKIP() << "NOT TESTED: " << note;
        const auto reserved = open_file_device(full, how);
        EXPECT_GE(blocks(full), kSize);
        ASSERT_EQ(reserved->write(0, data.data(), kSize), 0);
        ASSERT_EQ(reserved->zero(0, kSize), 0);
        ASSERT_EQ(reserved->discard(0, kSize), 0);
        EXPECT_GE(blocks(full), kSize);
    }
    const auto again = open_file_device(full, at_once());
    ASSERT_EQ(again->zero(0, kSize), 0);
    EXPECT_GE(blocks(full), kSize);
}

TEST(FileDevice, ASecondOpenerIsToldThatItIsInUse) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    auto first = open_file_device(path, at_once());
    const Refusal busy = refusal([&] { open_file_device(path, at_once()); });
    EXPECT_EQ(busy.kind(), RefusalKind::busy);
    EXPECT_SAYS(busy, path + " is in use by this process");
    FileOptions reader = at_once();
    reader.read_only = reader.shared = true;
    EXPECT_EQ(refusal([&] { open_file_device(path, reader); }).kind(), RefusalKind::busy);
    reader.shared = false;
    EXPECT_EQ(refusal([&] { open_file_device(path, reader); }).kind(), RefusalKind::busy);
    first.reset();
    EXPECT_NO_THROW(open_file_device(path, at_once()));
}

TEST(FileDevice, AnotherProcessThatHoldsItIsNamed) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    int ready[2], end[2];
    ASSERT_EQ(::pipe(ready), 0);
    ASSERT_EQ(::pipe(end), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const int fd = ::open(path.c_str(), O_RDWR);
        char byte = ::flock(fd, LOCK_EX) == 0 ? 'y' : 'n';
        ::close(end[1]);
        if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
        ::_exit(::read(end[0], &byte, 1) == 0 ? 0 : 1);
    }
    ::close(end[0]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    EXPECT_SAYS(refusal([&] { open_file_device(path, at_once()); }),
                "in use by process " + std::to_string(child));
    ::close(end[1]);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    EXPECT_NO_THROW(open_file_device(path, at_once()));
}

TEST(FileDevice, LocksOnBytesAsQemuTakesThemCount) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    const UniqueFd qemu(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_start = 101;
    lock.l_len = 1;
    ASSERT_EQ(::fcntl(qemu.get(), F_OFD_SETLK, &lock), 0);
    EXPECT_EQ(refusal([&] { open_file_device(path, at_once()); }).kind(), RefusalKind::busy);
    FileOptions reader = at_once();
    reader.read_only = true;
    EXPECT_EQ(refusal([&] { open_file_device(path, reader); }).kind(), RefusalKind::busy);
    lock.l_type = F_UNLCK;
    ASSERT_EQ(::fcntl(qemu.get(), F_OFD_SETLK, &lock), 0);
    const auto ours = open_file_device(path, at_once());
    lock.l_type = F_RDLCK;
    EXPECT_NE(::fcntl(qemu.get(), F_OFD_SETLK, &lock), 0) << "qemu would not have noticed us";
}

TEST(FileDevice, AClosingOwnerIsWaitedFor) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    auto owner = open_file_device(path, at_once());
    FileOptions patient;
    patient.lock_wait_seconds = 60;
    std::promise<void> trying;
    auto second = std::async(std::launch::async, [&] {
        trying.set_value();
        return open_file_device(path, patient);
    });
    trying.get_future().wait();
    owner.reset();
    EXPECT_NE(second.get(), nullptr);
}

TEST(FileDevice, ReadersShareAnImageAndKeepWritersAway) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    FileOptions reader = at_once();
    reader.read_only = reader.shared = true;
    const auto first = open_file_device(path, reader);
    const auto second = open_file_device(path, reader);
    EXPECT_TRUE(first->info().read_only);
    EXPECT_EQ(refusal([&] { open_file_device(path, at_once()); }).kind(), RefusalKind::busy);
    reader.shared = false;
    EXPECT_EQ(refusal([&] { open_file_device(path, reader); }).kind(), RefusalKind::busy);
    std::array<std::byte, 512> data{};
    EXPECT_EQ(first->write(0, data.data(), 512), EROFS);
    EXPECT_EQ(first->zero(0, 512), EROFS);
    EXPECT_EQ(first->discard(0, 512), EROFS);
    EXPECT_EQ(first->read(0, data.data(), 512), 0);
    EXPECT_EQ(first->flush(), 0);
}

TEST(FileDevice, OnlyFilesAndBlockDevicesOfWholeSectorsAreTaken) {
    const test::ScratchDir dir;
    const auto missing = refusal([&] { open_file_device(dir.path() + "/none", at_once()); });
    EXPECT_EQ(missing.kind(), RefusalKind::not_found);
    EXPECT_SAYS(missing, dir.path() + "/none does not exist");
    EXPECT_EQ(refusal([&] { open_file_device(dir.image("f", kSize) + "/x", at_once()); }).kind(),
              RefusalKind::not_found);

    const std::string fifo = dir.path() + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    for (const std::string& path : {dir.path(), fifo, std::string("/dev/null")}) {
        const auto neither = refusal([&] { open_file_device(path, at_once()); });
        EXPECT_EQ(neither.kind(), RefusalKind::refused);
        EXPECT_SAYS(neither, path + " is neither a block device nor an image file");
    }
    const auto odd = refusal([&] { open_file_device(dir.image("odd", kSize + 1), at_once()); });
    EXPECT_EQ(odd.kind(), RefusalKind::refused);
    EXPECT_SAYS(odd, "4194305 bytes");
    EXPECT_SAYS(refusal([&] { open_file_device(dir.image("empty", 0), at_once()); }), "is empty");
}

TEST(FileDevice, SymbolicLinksAreFollowed) {
    const test::ScratchDir dir;
    const std::string link = dir.path() + "/link";
    std::filesystem::create_symlink(dir.image("a", kSize), link);
    EXPECT_EQ(open_file_device(link, at_once())->info().name, link);
}

TEST(FileDevice, ALoopDeviceIsABlockDeviceOfItsOwnSize) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    const test::LoopDevice loop(path, "--offset 1048576 --sizelimit 2097152");
    DMREMAP_NEED_LOOP(loop);
    auto device = open_file_device(loop.node(), at_once());
    EXPECT_EQ(device->info().size, 2u << 20);
    EXPECT_EQ(device->info().logical_block, 512u);
    EXPECT_NE(device->info().note.find("--direct-io=on"), std::string::npos);

    const auto data = pattern(1 << 20, 4);
    std::vector<std::byte> found(data.size());
    ASSERT_EQ(device->write(512, data.data(), data.size()), 0);
    ASSERT_EQ(device->zero(1024, 65536), 0);
    ASSERT_EQ(device->discard(262144, 4096), 0);
    ASSERT_EQ(device->flush(), 0);
    ASSERT_EQ(device->read(512, found.data() + 0, found.size()), 0);
    for (std::size_t i = 512; i < 512 + 65536; ++i) ASSERT_EQ(found[i], std::byte{0}) << i;
    EXPECT_EQ(std::memcmp(found.data(), data.data(), 512), 0);
    EXPECT_EQ(std::memcmp(found.data() + 512 + 65536, data.data() + 512 + 65536, 65536), 0);

    const auto busy = refusal([&] { open_file_device(loop.node(), at_once()); });
    EXPECT_EQ(busy.kind(), RefusalKind::busy);
    EXPECT_SAYS(busy, loop.node() + " is in use by this process");
    device.reset();
    EXPECT_NO_THROW(open_file_device(loop.node(), at_once()));
}

TEST(FileDevice, TwoLoopDevicesOverTheSameBytesAreNotBothOpened) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    const test::LoopDevice whole(path), half(path, "--offset 2097152"),
        other(path, "--sizelimit 2097152");
    DMREMAP_NEED_LOOP(whole);
    DMREMAP_NEED_LOOP(half);
    DMREMAP_NEED_LOOP(other);
    const auto first = open_file_device(half.node(), at_once());
    const auto busy = refusal([&] { open_file_device(whole.node(), at_once()); });
    EXPECT_EQ(busy.kind(), RefusalKind::busy);
    EXPECT_SAYS(busy, path + " (the file under " + whole.node() + ")");
    EXPECT_NO_THROW(open_file_device(other.node(), at_once()));
    EXPECT_EQ(refusal([&] { open_file_device(path, at_once()); }).kind(), RefusalKind::busy);
}

// O_EXCL of the upper one says nothing of the lower one, nor of the file below both.
TEST(FileDevice, P7_WhatIsOpenIsNotOpenedThroughLoopDevicesAboveIt) {
    const test::ScratchDir dir;
    const std::string path = dir.image("a", kSize);
    const test::LoopDevice lower(path, "--offset 1048576");
    DMREMAP_NEED_LOOP(lower);
    const test::LoopDevice upper(lower.node(), "--offset 1048576"),
        front(lower.node(), "--sizelimit 1048576");
    DMREMAP_NEED_LOOP(upper);
    DMREMAP_NEED_LOOP(front);
    {
        const auto file = open_file_device(path, at_once());
        const auto busy = refusal([&] { open_file_device(upper.node(), at_once()); });
        EXPECT_EQ(busy.kind(), RefusalKind::busy);
        EXPECT_SAYS(busy, path + " (the file under " + upper.node() + ")");
    }
    {
        const auto device = open_file_device(lower.node(), at_once());
        const auto busy = refusal([&] { open_file_device(upper.node(), at_once()); });
        EXPECT_EQ(busy.kind(), RefusalKind::busy);
        EXPECT_SAYS(busy, lower.node() + " (the disk under " + upper.node() + ")");
    }
    const auto part = open_file_device(upper.node(), at_once());
    EXPECT_EQ(refusal([&] { open_file_device(lower.node(), at_once()); }).kind(),
              RefusalKind::busy);
    EXPECT_NO_THROW(open_file_device(front.node(), at_once())) << "no byte of it is in use";
}

TEST(FileDevice, AReadOnlyBlockDeviceIsOnlyOpenedForReading) {
    const test::ScratchDir dir;
    const test::LoopDevice loop(dir.image("a", kSize), "--read-only");
    DMREMAP_NEED_LOOP(loop);
    const auto refused = refusal([&] { open_file_device(loop.node(), at_once()); });
    EXPECT_EQ(refused.kind(), RefusalKind::refused);
    EXPECT_SAYS(refused, loop.node() + " is read-only");
    FileOptions reader = at_once();
    reader.read_only = true;
    EXPECT_TRUE(open_file_device(loop.node(), reader)->info().read_only);
}

TEST(FileDevice, ABlockDeviceWithLargerBlocksTakesMemoryOfAnyAlignment) {
    const test::ScratchDir dir;
    const test::LoopDevice loop(dir.image("a", kSize), "--sector-size 4096");
    DMREMAP_NEED_LOOP(loop);
    const auto device = open_file_device(loop.node(), at_once());
    EXPECT_EQ(device->info().logical_block, 4096u);
    std::vector<std::byte> memory(8192 + 1);
    const auto wanted = pattern(8192, 8);
    std::memcpy(memory.data() + 1, wanted.data(), 8192);
    EXPECT_EQ(device->write(4096, memory.data() + 1, 8192), 0);
    EXPECT_EQ(device->write(512, memory.data() + 1, 8192), EINVAL);
    std::vector<std::byte> found(8192);
    EXPECT_EQ(device->read(4096, found.data(), 8192), 0);
    EXPECT_TRUE(found == wanted);
}

}  // namespace
}  // namespace dmremap
