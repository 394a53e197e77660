// SPDX-License-Identifier: GPL-2.0-or-later
// What a fault device does to calls, by every kind of rule.
#include "core/device/fault_device.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "core/device/fault_plan.h"
#include "core/device/memory_device.h"
#include "core/refusal.h"

namespace dmremap {
namespace {

constexpr std::uint64_t kSize = 1 << 20;
constexpr char kGarbage = '\xDB';

// One character a sector makes contents readable: "aaXb" is four sectors.
class FaultDeviceTest : public testing::Test {
protected:
    void make(const std::string& plan_text, std::uint32_t logical_block = 512) {
        plan = FaultPlan::parse(plan_text);
        image = std::make_shared<MemoryImage>(kSize);
        std::memset(image->bytes().data(), '.', kSize);
        device = make_fault_device(
            make_memory_device(image, "m", logical_block, std::max(logical_block, 4096U)), "main",
            plan);
    }

    int write(std::uint64_t sector, const std::string& letters) {
        std::string data;
        for (const char letter : letters) data.append(512, letter);
        return device->write(sector * 512, data.data(), data.size());
    }
    int zero(std::uint64_t sector, std::uint64_t count) {
        return device->zero(sector * 512, count * 512);
    }
    // The errno; `got` has what the caller's memory holds afterwards.
    int read(std::uint64_t sector, std::uint64_t count) {
        std::string data(count * 512, '?');
        const int error = device->read(sector * 512, data.data(), data.size());
        got = letters(data.data(), count);
        return error;
    }
    // What is on the medium, whatever the plan says.
    std::string medium(std::uint64_t sector, std::uint64_t count) const {
        return letters(reinterpret_cast<const char*>(image->bytes().data()) + sector * 512, count);
    }
    static std::string letters(const char* data, std::uint64_t count) {
        std::string result;
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::string sector(data + i * 512, 512);
            result += sector == std::string(512, sector[0]) ? sector[0] : '~';
        }
        return result;
    }

    std::shared_ptr<FaultPlan> plan;
    std::shared_ptr<MemoryImage> image;
    std::unique_ptr<Device> device;
    std::string got;
};

TEST_F(FaultDeviceTest, WithoutRulesItIsTheInnerDevice) {
    make("spare bad all *\nspare vanish");
    EXPECT_EQ(device->info().name, "m");
    EXPECT_EQ(device->info().size, kSize);
    EXPECT_EQ(device->info().identity, "serial=m\nsize=1048576\n");
    EXPECT_EQ(device->info().note, "faults are injected");
    EXPECT_EQ(write(5, "abc"), 0);
    EXPECT_EQ(read(4, 5), 0);
    EXPECT_EQ(got, ".abc.");
    EXPECT_EQ(zero(5, 1), 0);
    EXPECT_EQ(medium(5, 3), std::string("\0bc", 3));
    EXPECT_EQ(device->flush(), 0);
    EXPECT_EQ(device->discard(0, kSize), 0);
}

TEST_F(FaultDeviceTest, AnyOtherRoleIsRefused) {
    EXPECT_THROW(
        make_fault_device(make_memory_device("m", kSize), "third", std::make_shared<FaultPlan>()),
        Refusal);
}

TEST_F(FaultDeviceTest, AReadThatTouchesABadSectorFailsAndLeavesGarbage) {
    make("main bad read 10+2");
    for (const auto& [sector, count] : {std::pair{8, 3}, {8, 8}, {10, 1}, {11, 1}, {11, 9}}) {
        EXPECT_EQ(read(static_cast<std::uint64_t>(sector), static_cast<std::uint64_t>(count)), EIO);
        EXPECT_EQ(got, std::string(static_cast<std::size_t>(count), kGarbage));
    }
    EXPECT_EQ(read(8, 2), 0);
    EXPECT_EQ(got, "..");
    EXPECT_EQ(read(12, 2), 0);
    EXPECT_EQ(got, "..");
    // It takes writes, and does not heal by them.
    EXPECT_EQ(write(8, "abcdef"), 0);
    EXPECT_EQ(medium(8, 6), "abcdef");
    EXPECT_EQ(read(10, 1), EIO);
}

TEST_F(FaultDeviceTest, AWriteStopsBeforeTheFirstBadSector) {
    make("main bad write 10+2");
    EXPECT_EQ(write(8, "abcdef"), EIO);
    EXPECT_EQ(medium(7, 8), ".ab.....");
    EXPECT_EQ(write(10, "x"), EIO);
    EXPECT_EQ(write(11, "xy"), EIO);
    EXPECT_EQ(medium(7, 8), ".ab.....");
    EXPECT_EQ(write(12, "ef"), 0);
    EXPECT_EQ(read(8, 6), 0);
    EXPECT_EQ(got, "ab..ef");
}

TEST_F(FaultDeviceTest, ZeroingIsAWriteAndDiscardIsNothing) {
    make("main bad all 10\nmain bad read 12 heals\nmain fail write 3");
    EXPECT_EQ(zero(8, 5), EIO);
    EXPECT_EQ(medium(7, 6), std::string(".\0\0...", 6));
    EXPECT_EQ(device->discard(8 * 512, 6 * 512), 0);
    EXPECT_EQ(read(12, 1), EIO);
    EXPECT_EQ(zero(12, 1), 0);
    EXPECT_EQ(read(12, 1), 0);
    EXPECT_EQ(zero(20, 1), EIO) << "the third write";
}

TEST_F(FaultDeviceTest, BadAllFailsBothWaysWithItsError) {
    make("main bad all 10 error=ETIMEDOUT");
    EXPECT_EQ(read(10, 1), ETIMEDOUT);
    EXPECT_EQ(write(10, "x"), ETIMEDOUT);
    EXPECT_EQ(medium(10, 1), ".");
}

TEST_F(FaultDeviceTest, TheFirstBadSectorNamesTheError) {
    make("main bad all 12 error=ENODATA\nmain bad all 10 error=ENOSPC\n");
    EXPECT_EQ(read(8, 8), ENOSPC);
    EXPECT_EQ(read(11, 8), ENODATA);
    EXPECT_EQ(write(8, "abcdefgh"), ENOSPC);
    EXPECT_EQ(medium(8, 8), "ab......");
}

TEST_F(FaultDeviceTest, SectorsHealWhenWritten) {
    make("main bad read 10+4 heals");
    EXPECT_EQ(read(8, 8), EIO);
    EXPECT_EQ(device->discard(8 * 512, 8 * 512), 0);
    EXPECT_EQ(read(10, 1), EIO);
    EXPECT_EQ(write(11, "ab"), 0);
    EXPECT_EQ(read(11, 2), 0);
    EXPECT_EQ(got, "ab");
    EXPECT_EQ(read(10, 1), EIO);
    EXPECT_EQ(read(13, 1), EIO);
    EXPECT_EQ(write(8, "cdefghij"), 0);
    EXPECT_EQ(read(8, 8), 0);
    EXPECT_EQ(got, "cdefghij");
    EXPECT_EQ(plan->describe(), "");
}

TEST_F(FaultDeviceTest, AFailedWriteHealsOnlyWhatItWrote) {
    make("main bad read 8+8 heals\nmain bad write 10");
    EXPECT_EQ(write(8, "abcd"), EIO);
    EXPECT_EQ(read(8, 2), 0);
    EXPECT_EQ(got, "ab");
    EXPECT_EQ(read(10, 1), EIO);
    EXPECT_EQ(read(11, 1), EIO);
    EXPECT_EQ(plan->describe(), "main bad read 10+6 heals\nmain bad write 10\n");
}

TEST_F(FaultDeviceTest, TransientSectorsFailTheFirstCalls) {
    make("main bad all 10+2 times=2");
    EXPECT_EQ(read(8, 8), EIO);
    EXPECT_EQ(read(11, 1), EIO);
    EXPECT_EQ(read(11, 1), 0) << "failed twice already";
    EXPECT_EQ(read(10, 1), EIO);
    EXPECT_EQ(read(8, 8), 0);
    EXPECT_EQ(write(9, "abc"), EIO);
    EXPECT_EQ(write(9, "abc"), EIO) << "writes count apart from reads";
    EXPECT_EQ(medium(9, 3), "a..");
    EXPECT_EQ(write(9, "abc"), 0);
    EXPECT_EQ(medium(9, 3), "abc");
    EXPECT_FALSE(plan->has_rules(FaultRole::main));
}

TEST_F(FaultDeviceTest, ABadSectorThatIsWrittenMayBeTornOrGarbled) {
    make(
        "main bad write 10 torn=1\nmain bad write 20 garble\nmain bad write 30 torn=5 garble\n"
        "main bad write 40 torn=9 garble");
    EXPECT_EQ(write(8, "abcd"), EIO);
    EXPECT_EQ(medium(8, 4), "a...");
    EXPECT_EQ(write(18, "abcd"), EIO);
    EXPECT_EQ(medium(18, 4), std::string("ab") + kGarbage + ".");
    EXPECT_EQ(write(28, "abcdefgh"), EIO);
    EXPECT_EQ(medium(28, 8), std::string("abcde") + kGarbage + "..");
    EXPECT_EQ(write(38, "abcd"), EIO);
    EXPECT_EQ(medium(38, 5), "abcd.") << "all is written, nothing is left to garble";
    EXPECT_EQ(zero(18, 4), EIO);
    EXPECT_EQ(medium(18, 4), std::string("\0\0", 2) + kGarbage + ".");
}

TEST_F(FaultDeviceTest, CallsFailByTheirNumber) {
    make("main fail read 2\nmain fail write 2+2 error=ENOMEM\nmain fail flush 3+");
    EXPECT_EQ(read(0, 1), 0);
    EXPECT_EQ(read(0, 1), EIO);
    EXPECT_EQ(got, std::string(1, kGarbage));
    EXPECT_EQ(read(0, 1), 0);
    EXPECT_EQ(write(0, "a"), 0);
    EXPECT_EQ(write(0, "bb"), ENOMEM);
    EXPECT_EQ(zero(0, 1), ENOMEM);
    EXPECT_EQ(medium(0, 2), "a.");
    EXPECT_EQ(write(0, "c"), 0);
    EXPECT_EQ(device->flush(), 0);
    EXPECT_EQ(device->flush(), 0);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(device->flush(), EIO);
    plan->apply("clear");
    EXPECT_EQ(device->flush(), 0);
}

TEST_F(FaultDeviceTest, AnyCountsAllButDiscards) {
    make("main fail any 4 torn=1");
    EXPECT_EQ(read(0, 1), 0);
    EXPECT_EQ(device->discard(0, 512), 0);
    EXPECT_EQ(device->flush(), 0);
    EXPECT_EQ(write(0, "aa"), 0);
    EXPECT_EQ(write(0, "bb"), EIO);
    EXPECT_EQ(medium(0, 2), "ba");
    EXPECT_EQ(write(0, "cc"), 0);
}

TEST_F(FaultDeviceTest, WritesAreTornByTheirNumber) {
    make(
        "main fail write 2 torn=3\nmain fail write 3 garble\nmain fail write 4 torn=2 garble\n"
        "main fail write 5 torn=7");
    EXPECT_EQ(write(0, "aaaa"), 0);
    EXPECT_EQ(write(0, "bbbb"), EIO);
    EXPECT_EQ(medium(0, 5), "bbba.");
    EXPECT_EQ(write(0, "cccc"), EIO);
    EXPECT_EQ(medium(0, 5), std::string(1, kGarbage) + "bba.");
    EXPECT_EQ(zero(0, 4), EIO);
    EXPECT_EQ(medium(0, 5), std::string("\0\0", 2) + kGarbage + "a.");
    EXPECT_EQ(write(0, "dddd"), EIO);
    EXPECT_EQ(medium(0, 5), "dddd.");
}

TEST_F(FaultDeviceTest, TheFirstOfTheFailingLinesDecidesAndAllCount) {
    make("main fail read 2 error=ENOSPC\nmain fail any 2+2 error=ENOMEM");
    EXPECT_EQ(read(0, 1), 0);
    EXPECT_EQ(read(0, 1), ENOSPC);
    EXPECT_EQ(read(0, 1), ENOMEM);
    EXPECT_EQ(read(0, 1), 0);
}

TEST_F(FaultDeviceTest, AFailedCallLeavesTheSectorsCountsAlone) {
    make("main fail read 1\nmain bad read 4 times=1");
    EXPECT_EQ(read(4, 1), EIO);
    EXPECT_EQ(read(4, 1), EIO);
    EXPECT_EQ(read(4, 1), 0);
}

TEST_F(FaultDeviceTest, ADeviceVanishesAndComesBack) {
    make("main vanish after 3");
    EXPECT_EQ(write(0, "a"), 0);
    EXPECT_EQ(read(0, 1), 0);
    EXPECT_EQ(device->discard(4096, 4096), 0);
    EXPECT_EQ(device->flush(), 0);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(read(0, 1), ENODEV);
        EXPECT_EQ(got, std::string(1, kGarbage));
        EXPECT_EQ(write(0, "b"), ENODEV);
        EXPECT_EQ(zero(0, 1), ENODEV);
        EXPECT_EQ(device->flush(), ENODEV);
        EXPECT_EQ(device->discard(0, 512), ENODEV);
    }
    plan->come_back(FaultRole::main);
    EXPECT_EQ(read(0, 1), 0);
    EXPECT_EQ(got, "a");
    plan->apply("* vanish");
    EXPECT_EQ(device->flush(), ENODEV);
    plan->apply("main return");
    EXPECT_EQ(device->flush(), 0);
    EXPECT_EQ(plan->describe(), "spare vanish\n");
}

TEST_F(FaultDeviceTest, BigBlocksFailWhole) {
    make("main bad write 19\nmain bad write 36 garble\nmain fail write 3 torn=9", 4096);
    EXPECT_EQ(write(8, std::string(24, 'a')), EIO);
    EXPECT_EQ(medium(8, 24), "aaaaaaaa................");
    EXPECT_EQ(write(32, std::string(16, 'b')), EIO);
    EXPECT_EQ(medium(32, 9), std::string(8, kGarbage) + ".");
    EXPECT_EQ(write(48, std::string(16, 'c')), EIO);
    EXPECT_EQ(medium(48, 16), "cccccccc........");
}

TEST_F(FaultDeviceTest, CallsOutsideAreTheInnerDevicesToRefuse) {
    make("main bad all *\nmain fail any 1+ error=ENOMEM", 4096);
    char data[4096];
    EXPECT_EQ(device->read(kSize, data, 4096), EINVAL);
    EXPECT_EQ(device->read(~std::uint64_t{0} - 4095, data, 4096), EINVAL);
    EXPECT_EQ(device->write(512, data, 4096), EINVAL);
    EXPECT_EQ(device->write(0, data, 512), EINVAL);
    EXPECT_EQ(device->read(0, data, 0), 0);
    EXPECT_EQ(device->read(0, data, 4096), ENOMEM);
}

TEST_F(FaultDeviceTest, CountsCallsByKindThoseThatFailToo) {
    make("");
    EXPECT_EQ(write(0, "a"), 0);
    plan->apply("main bad all *");
    EXPECT_EQ(write(0, "a"), EIO);
    EXPECT_EQ(read(0, 1), EIO);
    EXPECT_EQ(zero(0, 1), EIO);
    EXPECT_EQ(device->flush(), 0);
    EXPECT_EQ(device->discard(0, 512), 0);
    EXPECT_EQ(plan->calls(FaultRole::main, Op::write), 2U);
    EXPECT_EQ(plan->calls(FaultRole::main, Op::read), 1U);
    EXPECT_EQ(plan->calls(FaultRole::main, Op::zero), 1U);
    EXPECT_EQ(plan->calls(FaultRole::main, Op::flush), 1U);
    EXPECT_EQ(plan->calls(FaultRole::main, Op::discard), 1U);
    EXPECT_EQ(plan->any_calls(FaultRole::main), 5U);
    EXPECT_EQ(plan->any_calls(FaultRole::spare), 0U);
}

// Completes nothing until it is told to.
class LaterDevice final : public Device {
public:
    LaterDevice(std::unique_ptr<Device> inner, std::deque<Io*>& waiting)
        : inner_(std::move(inner)), waiting_(waiting) {}
    const DeviceInfo& info() const override { return inner_->info(); }
    void submit(Io& io) override { waiting_.push_back(&io); }
    void complete_one() {
        Io& io = *waiting_.front();
        waiting_.pop_front();
        inner_->submit(io);
    }

private:
    const std::unique_ptr<Device> inner_;
    std::deque<Io*>& waiting_;
};

TEST_F(FaultDeviceTest, AnInnerDeviceThatCompletesLaterIsNotWaitedFor) {
    make("main bad write 2 garble");
    std::deque<Io*> waiting;
    auto owned = std::make_unique<LaterDevice>(make_memory_device(image, "m"), waiting);
    LaterDevice& later = *owned;
    device = make_fault_device(std::move(owned), "main", plan);

    std::string data(4 * 512, 'a');
    int completed = 0;
    Io io;
    io.op = Op::write;
    io.length = data.size();
    io.data = reinterpret_cast<std::byte*>(data.data());
    io.context = &completed;
    io.done = [](Io& done) { ++*static_cast<int*>(done.context); };

    device->submit(io);
    ASSERT_EQ(waiting.size(), 1U);
    EXPECT_EQ(completed, 0);
    later.complete_one();
    EXPECT_EQ(medium(0, 4), "aa..");
    EXPECT_EQ(completed, 0);
    ASSERT_EQ(waiting.size(), 1U);
    later.complete_one();
    EXPECT_EQ(medium(0, 4), std::string("aa") + kGarbage + ".");
    EXPECT_TRUE(waiting.empty());
    EXPECT_EQ(completed, 1);
    EXPECT_EQ(io.error, EIO);

    // A healthy call is the caller's own, passed on untouched.
    io.length = 512;
    device->submit(io);
    ASSERT_EQ(waiting.size(), 1U);
    EXPECT_EQ(waiting.front(), &io);
    later.complete_one();
    EXPECT_EQ(completed, 2);
    EXPECT_EQ(io.error, 0);
}

TEST_F(FaultDeviceTest, ASlowCallHoldsUpNobodyElse) {
    // So slow that only the end of the device lets it go on.
    make("main slow read 8 600000\nmain slow read 9 1\nmain bad read 8 error=ENODATA");
    std::string data(512, '?');
    std::atomic<bool> completed = false;
    Io io;
    io.op = Op::read;
    io.offset = 8 * 512;
    io.length = 512;
    io.data = reinterpret_cast<std::byte*>(data.data());
    io.context = &completed;
    io.done = [](Io& done) { *static_cast<std::atomic<bool>*>(done.context) = true; };
    device->submit(io);
    EXPECT_EQ(write(8, "a"), 0);
    // Each of these has waited on the very thread that would let the slow one go.
    for (int i = 0; i < 20; ++i) EXPECT_EQ(read(9, 4), 0);
    EXPECT_FALSE(completed);
    device.reset();
    EXPECT_TRUE(completed);
    EXPECT_EQ(io.error, ENODATA);
}

TEST_F(FaultDeviceTest, SlowCallsEndByThemselves) {
    make("main slow all 8 1");
    EXPECT_EQ(write(7, "abc"), 0);
    EXPECT_EQ(read(7, 3), 0);
    EXPECT_EQ(got, "abc");
}

TEST_F(FaultDeviceTest, RulesMayChangeWhileCallsRun) {
    make("main bad read 0+64 times=3\nmain slow write 100 1");
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            std::string data(1024, static_cast<char>('a' + t));
            for (unsigned i = 0; i < 300; ++i) {
                const std::uint64_t at = (t * 64 + i % 32 * 2) * 512;
                const int wrote = device->write(at, data.data(), data.size());
                EXPECT_TRUE(wrote == 0 || wrote == EIO || wrote == ENODEV) << wrote;
                const int error = device->read(at, data.data(), data.size());
                EXPECT_TRUE(error == 0 || error == EIO || error == ENODEV) << error;
                device->flush();
            }
        });
    std::thread changer([&] {
        while (!stop) {
            plan->apply("main bad all 10+20 times=2 heals garble\nmain vanish after 5");
            plan->describe();
            plan->apply("main fail any 3 torn=1\nmain return");
            plan->apply("clear");
        }
    });
    for (auto& thread : threads) thread.join();
    stop = true;
    changer.join();
    EXPECT_EQ(plan->any_calls(FaultRole::main), 3U * 300 * 3);
    EXPECT_EQ(plan->describe(), "");
    EXPECT_EQ(write(10, "abc"), 0);
    EXPECT_EQ(read(10, 3), 0);
    EXPECT_EQ(got, "abc");
}

}  // namespace
}  // namespace dmremap
