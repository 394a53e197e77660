// SPDX-License-Identifier: GPL-2.0-or-later
// What a file device gives to the loop of its thread, and what it makes of the results.
#include "core/device/io_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <vector>

#include "core/device/call_way.h"
#include "core/device/file_device.h"
#include "core/device/unique_fd.h"
#include "tests/unit/scratch.h"

namespace dmremap {
namespace {

constexpr std::uint64_t kSize = 1 << 20;
constexpr std::size_t kLength = 8192;

// Carries out what it is given when it is told to, as this thread's loop.
class HandLoop final : public IoLoop {
public:
    HandLoop() { current_ = this; }
    ~HandLoop() override { current_ = nullptr; }
    bool start(Io& io, int fd) override {
        if (full) return false;
        started.push_back({&io, fd});
        return true;
    }
    // Does the first call, whole, and says this of it; or what came of it.
    void end(std::optional<std::int64_t> result = {}) {
        const auto [io, fd] = started.front();
        started.pop_front();
        std::int64_t moved = 0;
        if (io->op == Op::read)
            moved = ::pread(fd, io->data, io->length, static_cast<off_t>(io->offset));
        else if (io->op == Op::write)
            moved = ::pwrite(fd, io->data, io->length, static_cast<off_t>(io->offset));
        io->moved(*io, result.value_or(moved));
    }
    struct Started {
        Io* io;
        int fd;
    };
    std::deque<Started> started;
    bool full = false;
};

class LoopOfADevice : public testing::Test {
protected:
    void SetUp() override {
        {
            const UniqueFd file(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
            if (best_way(file.get()) != CallWay::loop)
                GTEST_SKIP() << "files in " << dir_.path() << " have no asynchronous calls";
        }
        device_ = open_file_device(path_, {});
        data_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, kLength)));
        io_.offset = 4096;
        io_.length = kLength;
        io_.data = data_.get();
        io_.context = this;
        io_.done = [](Io& io) { static_cast<LoopOfADevice*>(io.context)->error_ = io.error; };
    }
    void submit(Op op) {
        io_.op = op;
        error_ = -1;
        device_->submit(io_);
    }
    void fill(std::byte value) { std::memset(data_.get(), static_cast<int>(value), kLength); }

    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    test::ScratchDir dir_;
    const std::string path_ = dir_.image("image", kSize);
    std::unique_ptr<Device> device_;
    std::unique_ptr<std::byte, Free> data_;
    Io io_;
    int error_ = -1;
    HandLoop loop_;
};

TEST_F(LoopOfADevice, ReadsWritesAndFlushesEndWhenTheLoopSaysSo) {
    fill(std::byte{7});
    for (const Op op : {Op::write, Op::flush, Op::read}) {
        if (op == Op::read) fill(std::byte{0});
        submit(op);
        ASSERT_EQ(loop_.started.size(), 1u);
        EXPECT_EQ(error_, -1);
        loop_.end(op == Op::flush ? std::optional<std::int64_t>(0) : std::nullopt);
        EXPECT_EQ(error_, 0);
    }
    EXPECT_EQ(data_.get()[kLength - 1], std::byte{7});
}

TEST_F(LoopOfADevice, AnErrorIsTheRequests) {
    for (const Op op : {Op::write, Op::flush, Op::read}) {
        submit(op);
        loop_.end(-EIO);
        EXPECT_EQ(error_, EIO);
    }
}

// The whole request again, on the way that waits: it moves what is missing, or says why it cannot.
TEST_F(LoopOfADevice, WhatIsShortOrInterruptedIsMadeWhole) {
    fill(std::byte{9});
    for (const std::int64_t result :
         {std::int64_t{512}, std::int64_t{0}, std::int64_t{-EINTR}, std::int64_t{-EAGAIN}}) {
        submit(Op::write);
        loop_.started.pop_front();  // nothing was moved
        io_.moved(io_, result);
        EXPECT_EQ(error_, 0) << result;
        fill(std::byte{0});
        submit(Op::read);
        loop_.end();
        EXPECT_EQ(data_.get()[kLength - 1], std::byte{9});
    }
}

TEST_F(LoopOfADevice, AFileCutOffIsAnErrorNotAShortRead) {
    ASSERT_EQ(::truncate(path_.c_str(), 4096 + 512), 0);
    submit(Op::read);
    loop_.end();
    EXPECT_EQ(error_, ENODEV);
}

TEST_F(LoopOfADevice, WhatTheLoopCannotDoIsDoneWithoutIt) {
    submit(Op::zero);
    EXPECT_EQ(error_, 0);
    submit(Op::discard);
    EXPECT_EQ(error_, 0);
    io_.offset = kSize;
    submit(Op::read);
    EXPECT_EQ(error_, EINVAL);
    io_.offset = 0;
    loop_.full = true;
    submit(Op::read);
    EXPECT_EQ(error_, 0);
    EXPECT_TRUE(loop_.started.empty());
}

}  // namespace
}  // namespace dmremap
