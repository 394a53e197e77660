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
    Flush first, under_way, late, after;
    Device* device = nullptr;
    unsigned told = 0;
    const auto guard =
        make_flush_guard(std::make_unique<HeldFlushes>(held), [&](const DeviceInfo&, int error) {
            EXPECT_EQ(error, ENODATA);
            told++;
            held[1]->complete(0);
            device->submit(late);
            EXPECT_FALSE(first.ended);
            EXPECT_FALSE(under_way.ended);
            EXPECT_FALSE(late.ended);
        });
    device = guard.get();
    device->submit(first);
    device->submit(under_way);
    ASSERT_EQ(held.size(), 2u);
    held[0]->complete(ENODATA);
    device->submit(after);
    EXPECT_EQ(told, 1u);
    EXPECT_EQ(held.size(), 2u) << "the device is not asked again";
    EXPECT_TRUE(first.ended && under_way.ended && late.ended && after.ended);
    EXPECT_EQ(first.error, ENODATA);
    EXPECT_EQ(under_way.error, EIO) << "it may have been told the lie";
    EXPECT_EQ(late.error, EIO);
    EXPECT_EQ(after.error, EIO);
}

TEST(FlushGuard, P2_OnesThatFailTogetherAreToldOfOnce) {
    std::vector<Io*> held;
    Flush first, second;
    unsigned told = 0;
    const auto guard =
        make_flush_guard(std::make_unique<HeldFlushes>(held), [&](const DeviceInfo&, int) {
            told++;
            held[1]->complete(EREMOTEIO);
        });
    guard->submit(first);
    guard->submit(second);
    held[0]->complete(EIO);
    EXPECT_EQ(told, 1u);
    EXPECT_EQ(first.error, EIO);
    EXPECT_EQ(second.error, EREMOTEIO);
    EXPECT_TRUE(first.ended && second.ended);
}

}  // namespace
}  // namespace dmremap
