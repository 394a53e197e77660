// SPDX-License-Identifier: GPL-2.0-or-later
// The devices under a workload: a fresh pair as often as one likes, with bad spots that the
// workload makes and mends by a fault plan, and power that can go off.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/device/fault_plan.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

// Main: two regions, the second one short, and a last block of three sectors.
inline constexpr Shape kWorkShape{.main_size = (1 << 20) + 4 * kBlock + 3 * kSector};

// How many of the first step's slots are free; the rest are bad, so that the table soon grows.
constexpr std::uint64_t kFreeSlots = 14;

class Machine {
public:
    virtual ~Machine() = default;
    // Handles for one opening; dead after a power cut.
    virtual std::unique_ptr<Device> main() = 0;
    virtual std::unique_ptr<Device> spare() = 0;
    // As it was made, without bad spots.
    virtual void reset() = 0;
    // The power is gone: handles are dead; call power_on() when they are destroyed. What was not
    // flushed is lost, or kept by chance with a generator.
    virtual void power_off() = 0;
    virtual void power_on(std::mt19937_64* chance) = 0;

    FaultPlan& plan() { return *plan_; }
    const dmr_superblock& geometry() const { return geometry_; }  // as formatted

protected:
    dmr_superblock geometry_{};
    std::shared_ptr<FaultPlan> plan_ = FaultPlan::parse("");
};

// Marks the slots from kFreeSlots on as bad in both copies of the table, as a spare that has served
// long. `write(offset, data, length)` changes the spare.
void wear_out(const dmr_superblock& sb,
              const std::function<void(std::uint64_t, const void*, std::uint64_t)>& write);

// In memory, with a volatile cache.
class MemoryMachine final : public Machine {
public:
    MemoryMachine();
    std::unique_ptr<Device> main() override;
    std::unique_ptr<Device> spare() override;
    void reset() override;
    void power_off() override { pair_.power->cut_now(); }
    void power_on(std::mt19937_64* chance) override;

    TestPair& pair() { return pair_; }

private:
    struct Restored {
        std::vector<std::byte> base;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> written;
    };
    void watch(Medium& medium, Restored& restored);
    static void restore(Medium& medium, Restored& restored);

    TestPair pair_;
    std::mutex mutex_;
    Restored main_, spare_;
};

}  // namespace dmremap::test
