// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/image_access.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kRegion = ImageAccess::kRegion;
constexpr std::chrono::seconds kPatience{20};
using Range = std::pair<std::uint64_t, std::uint64_t>;  // offset, length

// A kernel that has been told to drop pages, and does it when the test says so.
class Cache {
public:
    void drop(std::uint64_t offset, std::uint64_t length) {
        std::unique_lock lock(mutex_);
        begun_.emplace_back(offset, length);
        changed_.notify_all();
        changed_.wait(lock, [this] { return may_end_ != 0; });
        may_end_--;
    }
    // The next one that begins; waits for it. Where a bug keeps it away the test fails in the end.
    Range begun() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, kPatience, [this] { return !begun_.empty(); })) {
            may_end_ += ImageAccess::kMostWaiting;
            return {~0ull, ~0ull};
        }
        const Range range = begun_.front();
        begun_.pop_front();
        return range;
    }
    void end(unsigned drops = 1) {
        const std::lock_guard lock(mutex_);
        may_end_ += drops;
        changed_.notify_all();
    }
    bool idle() {
        const std::lock_guard lock(mutex_);
        return begun_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Range> begun_;
    unsigned may_end_ = 0;
};

class Asked {
public:
    Asked(ImageAccess& image, Op op, std::uint64_t offset, std::uint64_t length, bool past_cache)
        : data_(op == Op::zero ? 0 : length) {
        request_.op = op;
        request_.offset = offset;
        request_.length = length;
        request_.data = data_.data();
        request_.past_cache = past_cache;
        request_.asker = this;
        request_.answer = [](ImageRequest& request, int error) {
            auto& self = *static_cast<Asked*>(request.asker);
            const std::lock_guard lock(self.mutex_);
            self.error_ = error;
            self.changed_.notify_all();
        };
        image.submit(request_);
    }
    ~Asked() { wait(); }
    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;

    int wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return error_.has_value(); });
        return *error_;
    }
    bool answered() {
        const std::lock_guard lock(mutex_);
        return error_.has_value();
    }
    std::uint64_t length() const { return request_.length; }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<int> error_;
    ImageRequest request_;
    std::vector<std::byte> data_;
};

class ImageAccessTest : public testing::Test {
protected:
    ImageAccessTest() {
        pair.format();
        pair.open();
        image.emplace(*pair.disk);
        image->drop_by([this](std::uint64_t o, std::uint64_t l) { cache.drop(o, l); });
    }

    void read_cached(std::uint64_t offset) {
        EXPECT_EQ(Asked(*image, Op::read, offset, 4096, false).wait(), 0);
    }

    TestPair pair;
    Cache cache;
    std::optional<ImageAccess> image;
};

TEST_F(ImageAccessTest, AWriteIsAnsweredWhenWhatWasCachedIsGone) {
    read_cached(kRegion);
    Asked write(*image, Op::write, kRegion + 8192, 512, true);
    EXPECT_EQ(cache.begun(), Range(kRegion, kRegion));
    EXPECT_FALSE(write.answered());
    cache.end();
    EXPECT_EQ(write.wait(), 0);
    EXPECT_EQ(Asked(*image, Op::write, kRegion, 512, true).wait(), 0) << "nothing is cached now";
    EXPECT_TRUE(cache.idle());
}

TEST_F(ImageAccessTest, NothingIsDroppedWhereNothingWasCached) {
    read_cached(0);
    Asked(*image, Op::read, kRegion, 4096, true).wait();
    Asked(*image, Op::zero, kRegion, 4096, false).wait();
    EXPECT_EQ(Asked(*image, Op::write, kRegion, 4096, true).wait(), 0);
    EXPECT_EQ(Asked(*image, Op::write, 0, 4096, false).wait(), 0) << "the kernel has its data";
    EXPECT_TRUE(cache.idle());
}

TEST_F(ImageAccessTest, WhatTheCacheWritesIsCached) {
    EXPECT_EQ(Asked(*image, Op::write, 0, 4096, false).wait(), 0);
    Asked write(*image, Op::write, 0, 4096, true);
    EXPECT_EQ(cache.begun(), Range(0, kRegion));
    cache.end();
}

TEST_F(ImageAccessTest, EachRegionOfAWriteIsDropped) {
    read_cached(kRegion - 4096);
    read_cached(kRegion);
    Asked write(*image, Op::write, kRegion - 512, 1024, true);
    EXPECT_EQ(cache.begun(), Range(0, kRegion));
    cache.end();
    EXPECT_EQ(cache.begun(), Range(kRegion, kRegion));
    EXPECT_FALSE(write.answered());
    cache.end();
}

TEST_F(ImageAccessTest, AWriteThatFindsItsRegionBeingDroppedWaits) {
    read_cached(0);
    Asked first(*image, Op::write, 0, 512, true);
    EXPECT_EQ(cache.begun(), Range(0, kRegion));
    Asked second(*image, Op::write, 4096, 512, true);
    give_a_bug_time([&] { return second.answered(); });
    EXPECT_FALSE(second.answered()) << "pages that are still there may be older than it";
    cache.end();
    EXPECT_EQ(first.wait(), 0);
    EXPECT_EQ(second.wait(), 0) << "and nobody has cached anything since";
}

TEST_F(ImageAccessTest, WhatIsCachedWhileARegionIsDroppedIsDroppedNext) {
    read_cached(0);
    Asked first(*image, Op::write, 0, 512, true);
    EXPECT_EQ(cache.begun(), Range(0, kRegion));
    read_cached(4096);
    cache.end();
    EXPECT_EQ(first.wait(), 0);
    Asked second(*image, Op::write, 4096, 512, true);
    EXPECT_EQ(cache.begun(), Range(0, kRegion));
    EXPECT_FALSE(second.answered());
    cache.end();
}

TEST_F(ImageAccessTest, OnlyAFewWritesWait) {
    read_cached(0);
    std::deque<Asked> waiting;
    for (unsigned i = 0; i < ImageAccess::kMostWaiting; i++)
        waiting.emplace_back(*image, Op::write, 0, 512, true);
    EXPECT_EQ(cache.begun(), Range(0, kRegion));
    EXPECT_EQ(Asked(*image, Op::write, 4096, 512, true).wait(), 0) << "while the others wait";
    for (Asked& write : waiting) EXPECT_FALSE(write.answered());
    EXPECT_EQ(cache.begun(), Range(0, 0)) << "all instead, and not after the others";
    cache.end(2);
}

TEST_F(ImageAccessTest, WhatFailedDropsToo) {
    pair.plan->apply("main fail write 1+\nspare fail write 1+\n");
    read_cached(0);
    Asked write(*image, Op::write, 0, 4096, true);
    EXPECT_EQ(cache.begun(), Range(0, kRegion));
    cache.end();
    EXPECT_NE(write.wait(), 0);
    read_cached(kRegion);
    Asked zeros(*image, Op::zero, kRegion, 8192, false);
    EXPECT_EQ(cache.begun(), Range(kRegion, kRegion)) << "some of them may be there";
    cache.end();
    EXPECT_NE(zeros.wait(), 0);
}

TEST_F(ImageAccessTest, TheDiskEndsWhereItEnds) {
    const std::uint64_t size = pair.disk->size();
    Asked read(*image, Op::read, size - 512, 4096, true);
    EXPECT_EQ(read.wait(), 0);
    EXPECT_EQ(read.length(), 512u);
    Asked behind(*image, Op::read, size, 4096, true);
    EXPECT_EQ(behind.wait(), 0);
    EXPECT_EQ(behind.length(), 0u);
    EXPECT_EQ(Asked(*image, Op::write, size, 4096, true).wait(), ENOSPC);
    EXPECT_EQ(Asked(*image, Op::write, size, 0, true).wait(), 0);
    EXPECT_EQ(Asked(*image, Op::zero, size, 4096, false).wait(), 0);
    Asked last(*image, Op::write, size - 512, 4096, true);
    EXPECT_EQ(last.wait(), 0);
    EXPECT_EQ(last.length(), 512u);
}

}  // namespace
}  // namespace dmremap::test
