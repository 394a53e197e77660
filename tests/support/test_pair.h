// SPDX-License-Identifier: GPL-2.0-or-later
// A main and a spare in memory, formatted as a pair, and the disk over them while it is open.
//
// Both devices go through the core's fault device, so that a test says what fails in that language
// (plan), and stand on a Medium, so that it can hold calls, cut the power and look behind the disk.
// Calls: Disk -> fault device -> Medium.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/device/fault_plan.h"
#include "core/disk.h"
#include "core/format.h"
#include "tests/support/medium.h"

namespace dmremap::test {

struct Shape {
    std::uint64_t main_size = 4ull << 20;
    std::uint32_t main_logical = 512;
    std::uint64_t spare_size = 8ull << 20;
    std::uint32_t spare_logical = 512;
    std::uint32_t spare_physical = 512;
};

class TestPair {
public:
    explicit TestPair(const Shape& shape = {});
    ~TestPair();

    std::shared_ptr<Power> power = std::make_shared<Power>();
    std::shared_ptr<Medium> main, spare;
    std::shared_ptr<FaultPlan> plan;
    std::unique_ptr<Disk> disk;

    void format();
    void open(const OpenOptions& options = {});  // throws Refusal
    void close();                                // expects success
    void reopen() {
        close();
        open();
    }
    // The power goes off now; what was not flushed is lost, or kept by chance. Power is on again.
    void crash(std::mt19937_64* chance = nullptr);
    void set_cache(bool on);

    std::vector<Event> events() const;
    bool saw(EventKind kind) const;
    std::size_t count(EventKind kind) const;
    // Waits until so many of the kind were seen since the pair was made; false after a minute.
    bool wait_for(EventKind kind, std::size_t times = 1) const;
    bool has_cause(const std::string& name) const;

    // Changes all valid superblock copies behind the disk's back, with right checksums.
    void edit_superblocks(const std::function<void(dmr_superblock&)>& edit);
    // The same for all remapped entries of both copies of the table.
    void edit_entries(const std::function<void(dmr_entry&)>& edit);
    dmr_superblock superblock() const;  // the newest valid copy; fails the test when there is none
    std::vector<RemapInfo> remaps() const;
    std::optional<RemapInfo> remap_of(std::uint64_t block) const;
    // In which table copy (0, 1) a range of the spare lies, or -1; and whether in the slots.
    int table_copy(std::uint64_t offset) const;
    bool in_slots(std::uint64_t offset) const;

    // Fills main's bytes with pattern(sector, version) behind the disk's back.
    void fill_main(std::uint32_t version);
    std::uint64_t sectors() const { return main->size() / kSector; }

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::vector<Event> events_;
    std::map<EventKind, std::size_t> seen_;
};

// Bytes that tell which sector and which version they are, and of no other.
std::vector<std::byte> pattern(std::uint64_t sector, std::uint64_t count, std::uint32_t version);
std::vector<std::byte> zeros(std::uint64_t bytes);

std::vector<std::byte> read_sectors(Disk& disk, std::uint64_t sector, std::uint64_t count,
                                    int expected_error = 0);
int write_sectors(Disk& disk, std::uint64_t sector, std::uint64_t count, std::uint32_t version);

// What must not happen is waited for by nobody, so a bug is given some time to show. Where there is
// no bug that time decides nothing.
void give_a_bug_time(const std::function<bool()>& shows);

// A request in flight and its memory.
class Pending {
public:
    // on_finished is called on the completing thread; it may not use this.
    Pending(Disk& disk, Op op, std::uint64_t offset, std::vector<std::byte> data,
            std::function<void()> on_finished = nullptr);
    Pending(Disk& disk, Op op, std::uint64_t offset, std::uint64_t length);
    enum class Durable : bool { no, yes };
    Pending(Disk& disk, Op op, std::uint64_t offset, std::vector<std::byte> data, Durable durable);
    ~Pending() { wait(); }
    bool finished() const;
    int wait();
    const std::vector<std::byte>& data() const { return data_; }

private:
    void start(Disk& disk, Op op, std::uint64_t offset, std::uint64_t length);
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool finished_ = false;
    int error_ = 0;
    Request request_;
    std::vector<std::byte> data_;
    std::function<void()> on_finished_;
};

}  // namespace dmremap::test
