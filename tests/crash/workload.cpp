// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/workload.h"

#include <mutex>

#include "core/meta/examine.h"
#include "tests/crash/accidents.h"
#include "tests/crash/requests.h"
#include "tests/crash/world.h"

namespace dmremap::test {

namespace {

constexpr std::uint64_t kOperations = 250;

// Counts what the disk reports, on any thread.
class Counter {
public:
    OpenOptions options() {
        OpenOptions options;
        options.on_event = [this](const Event& event) { count(event); };
        return options;
    }
    Happened happened() const {
        const std::lock_guard lock(mutex_);
        return happened_;
    }

private:
    void count(const Event& event) {
        const std::lock_guard lock(mutex_);
        happened_.remaps += event.kind == EventKind::remapped ? 1 : 0;
        happened_.unmaps += event.kind == EventKind::unmapped ? 1 : 0;
        happened_.moves += event.kind == EventKind::moved ? 1 : 0;
        happened_.lost += event.kind == EventKind::lost ? event.count : 0;
        happened_.salvaged += event.kind == EventKind::salvaged ? event.count : 0;
        happened_.rewritten += event.kind == EventKind::rewritten ? event.count : 0;
        happened_.bad_slots += event.kind == EventKind::bad_slot ? 1 : 0;
        happened_.retired += event.kind == EventKind::page_retired ? event.count : 0;
        happened_.recovered += event.kind == EventKind::recovered ? 1 : 0;
    }

    mutable std::mutex mutex_;
    Happened happened_;
};

void operation(World& world, Accidents& accidents) {
    switch (world.below(24)) {
        case 0:
            return many_at_once(world);
        case 1:
            return under_way_elsewhere(world);
        case 2:
            return salvage(world);
        case 3:
            return accidents.spoil_main();
        case 4:
            return accidents.break_slot();
        case 5:
            return accidents.spoil_slot();
        case 6:
            return world.below(2) == 0 ? accidents.open_again() : plain_request(world, Op::read);
        case 7:
            switch (world.below(6)) {
                case 0:
                    return accidents.killed();
                case 1:
                    return accidents.killed_in_flight();
                case 2:
                case 3:
                    return accidents.killed_midway();
                default:
                    return plain_request(world, Op::read);
            }
        case 8:
            return plain_request(world, world.below(2) == 0 ? Op::discard : Op::zero);
        case 9:
        case 10:
        case 11:
            return plain_request(world, Op::read);
        case 12:
        case 13:
            return write_lost(world);
        case 14:
            return odd_bytes(world);
        case 15:
        case 16:
            return remap_or_unmap(world);
        default:
            return plain_request(world, Op::write);
    }
}

// Entries that the table has more than at the beginning.
std::uint64_t grown(World& world) {
    const auto device = world.machine.device(Side::spare);
    return dmr_le64(examine_spare(*device, false).superblock.table_ready) -
           dmr_le64(world.start.layout.sb.table_ready);
}

}  // namespace

Recording record(const Profile& profile, std::uint64_t seed) {
    std::mt19937_64 rng(seed);
    Values values;
    Recording recording{make_start(profile, values, rng), {}, {}, {}, ""};
    Counter counter;
    World world(profile, recording.start, values, rng);
    Accidents accidents(world, counter.options());
    const std::uint64_t page_breaks = 60 + world.below(50), page_again = 190 + world.below(30),
                        superblock_breaks = 140 + world.below(40);
    accidents.open();
    std::uint64_t n = 0;
    for (; n < kOperations && world.user.problem().empty(); ++n) {
        if (n == page_breaks || n == page_again) accidents.break_page();
        if (n == superblock_breaks) accidents.break_superblock();
        operation(world, accidents);
        if (world.below(4) == 0 && world.user.is_open()) world.user.flush();
    }
    if (world.user.problem().empty()) accidents.open_again();
    world.user.close();
    recording.happened = counter.happened();
    recording.happened.operations = n;
    recording.happened.opened = accidents.opened();
    recording.happened.grown = grown(world);
    recording.tape = world.machine.tape();
    recording.problem = world.user.problem();
    recording.values = std::move(values);
    return recording;
}

}  // namespace dmremap::test
