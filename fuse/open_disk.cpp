// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/open_disk.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "core/device/fault_device.h"
#include "core/device/memory_device.h"
#include "core/device/thread_pool.h"
#include "core/format.h"
#include "core/meta/format_spare.h"
#include "core/pair/pair.h"
#include "core/pair/signature.h"

namespace dmremap {

namespace {

// Calls to the devices under way at once. Each holds a thread for as long as its device takes; a
// mechanical disk sorts a few tens of them well, more only wait.
constexpr unsigned kDeviceThreads = 32;

DevicePair open_devices(const MountOptions& options) {
    PairOptions pair;
    pair.main_read_only = options.read_only;
    pair.spare_read_only = options.read_only;
    pair.pool = std::make_shared<ThreadPool>(kDeviceThreads);
    return open_pair(options.main, options.spare, pair);
}

// Bad spots all over the demo's main, the same ones every time: sectors that take no more writes,
// pending ones that are unreadable until they are written, dead ones, and ones that come back at
// the third try. Not sectors that accept a write and then cannot be read: no remapping helps what a
// disk swallows, and mkfs would only show that.
std::string demo_faults(std::uint64_t size) {
    constexpr unsigned kSpots = 24;
    constexpr std::array<std::pair<const char*, const char*>, 4> kKinds = {
        {{"write", ""}, {"read", " heals"}, {"all", ""}, {"read", " times=2"}}};
    const std::uint64_t distance = size / DMR_SECTOR_SIZE / kSpots;
    std::string plan;
    for (unsigned i = 0; i < kSpots; i++) {
        const std::uint64_t sector = i * distance + distance / 2 + i * 7;
        const std::string range = " " + std::to_string(sector) + "+" + std::to_string(1 + i % 3);
        const auto& [kind, option] = kKinds[i % kKinds.size()];
        plan += std::string("main bad ") + kind + range + option + "\n";
    }
    return plan;
}

// Main and spare in memory, formatted; gone with the mount.
DevicePair make_demo(const MountOptions& options) {
    DevicePair pair;
    pair.main = make_memory_device(options.main, *options.demo_size);
    pair.spare = make_memory_device(options.main + "-spare",
                                    std::max<std::uint64_t>(*options.demo_size / 8, 16u << 20));
    FormatOptions format;
    format.label = "demo";
    format_spare(*pair.main, *pair.spare, format);
    return pair;
}

}  // namespace

OpenedDisk open_disk(const MountOptions& options,
                     const std::function<void(const Event&)>& on_event) {
    OpenedDisk opened;
    if (!options.inject.empty()) opened.faults = FaultPlan::load(options.inject);

    DevicePair pair = options.demo_size ? make_demo(options) : open_devices(options);
    const std::string overwritten = overwritten_sentence(*pair.spare);
    auto plan = opened.faults;
    if (options.demo_size) {
        if (!plan) plan = FaultPlan::parse("");
        // What the user injects comes last and so counts where both speak of the same sectors.
        const std::string injected = plan->describe();
        plan->apply("clear\n" + demo_faults(*options.demo_size) + injected);
    }
    if (plan) {
        pair.main = make_fault_device(std::move(pair.main), "main", plan);
        pair.spare = make_fault_device(std::move(pair.spare), "spare", plan);
    }

    OpenOptions open;
    open.read_only = options.read_only;
    open.rescue = options.rescue;
    open.accept_changed_main = options.accept_changed_main;
    open.overwritten = overwritten;
    open.take_over = options.take_over;
    open.holder = "dmremapfs";
    open.on_event = on_event;
    opened.disk = Disk::open(std::move(pair.main), std::move(pair.spare), open);
    return opened;
}

}  // namespace dmremap
