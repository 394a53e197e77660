// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/flush_guard.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <vector>

#include "core/device/device.h"

namespace dmremap {
namespace {

// Flushes that end when the test says, and how.
class HeldFlushes final : public Device {
public:
    explicit HeldFlushes(std::vector<Io*>& held) : held_(held) {}
    const DeviceInfo& info() const override { return info_; }
    void submit(Io& io) override { held_.push_back(&io); }

private:
    std::vector<Io*>& held_;
    const DeviceInfo info_{};
};

struct Flush : Io {
    Flush() {
        op = Op::flush;
        done = [](Io& io) { static_cast<Flush&>(io).ended = true; };
    }
    bool ended = false;
};

TEST(FlushGuard, P2_NobodyHearsOfAFailureBeforeItIsToldOf) {
    std::vector<Io*> held;
    Flush first, waiting, late, after;
    Device* device = nullptr;
    unsigned told = 0;
    const auto guard =
        make_flush_guard(std::make_unique<HeldFlushes>(held), [&](const DeviceInfo&, int error) {
            EXPECT_EQ(error, ENODATA);
            told++;
            device->submit(late);
            EXPECT_FALSE(first.ended);
            EXPECT_FALSE(waiting.ended);
            EXPECT_FALSE(late.ended);
        });
    device = guard.get();
    device->submit(first);
    device->submit(waiting);
    ASSERT_EQ(held.size(), 1u);
    held[0]->complete(ENODATA);
    device->submit(after);
    EXPECT_EQ(told, 1u);
    EXPECT_EQ(held.size(), 1u) << "the device is not asked again";
    EXPECT_TRUE(first.ended && waiting.ended && late.ended && after.ended);
    EXPECT_EQ(first.error, ENODATA);
    EXPECT_EQ(waiting.error, EIO) << "it would have been told the lie";
    EXPECT_EQ(late.error, EIO);
    EXPECT_EQ(after.error, EIO);
}

// The device may tell of a lost write the one that it answers last.
TEST(FlushGuard, P2_OneFlushIsUnderWayAtATime) {
    std::vector<Io*> held;
    Flush first, second, third, fourth;
    unsigned told = 0;
    const auto guard = make_flush_guard(std::make_unique<HeldFlushes>(held),
                                        [&](const DeviceInfo&, int) { told++; });
    guard->submit(first);
    guard->submit(second);
    guard->submit(third);
    ASSERT_EQ(held.size(), 1u);
    held[0]->complete(0);
    EXPECT_TRUE(first.ended);
    EXPECT_EQ(first.error, 0);
    EXPECT_FALSE(second.ended || third.ended) << "what it was to make durable may have come later";
    ASSERT_EQ(held.size(), 2u) << "who waited shares one";
    guard->submit(fourth);
    ASSERT_EQ(held.size(), 2u);
    held[1]->complete(EREMOTEIO);
    EXPECT_TRUE(second.ended && third.ended && fourth.ended);
    EXPECT_EQ(second.error, EREMOTEIO);
    EXPECT_EQ(third.error, EREMOTEIO);
    EXPECT_EQ(fourth.error, EIO);
    EXPECT_EQ(told, 1u);
    EXPECT_EQ(held.size(), 2u);
}

// A device may answer before submit() returns, and a completion may ask for the next flush.
TEST(FlushGuard, P2_FlushesThatEndAtOnceFollowEachOther) {
    class AtOnce final : public Device {
    public:
        const DeviceInfo& info() const override { return info_; }
        void submit(Io& io) override { io.complete(0); }

    private:
        const DeviceInfo info_{};
    };
    struct Chain : Io {
        Device* device_to_ask = nullptr;
        unsigned left = 100'000;
    };
    Chain chain;
    const auto guard =
        make_flush_guard(std::make_unique<AtOnce>(), [](const DeviceInfo&, int) { ADD_FAILURE(); });
    chain.op = Op::flush;
    chain.device_to_ask = guard.get();
    chain.done = [](Io& io) {
        auto& self = static_cast<Chain&>(io);
        EXPECT_EQ(io.error, 0);
        if (--self.left != 0) self.device_to_ask->submit(io);
    };
    guard->submit(chain);
    EXPECT_EQ(chain.left, 0u);
}

}  // namespace
}  // namespace dmremap
