// SPDX-License-Identifier: GPL-2.0-or-later
// The user of a disk on a machine: asks, puts on the tape what was asked and answered, and holds
// each answer against the model of what may be there.
//
// An answer is right when: a read gives visible values, or EIO where a sector of the range (widened
// to main's logical blocks) may be EIO; a write succeeds, or is EIO where it covers part of a
// logical block that may be; a flush succeeds. The first wrong one is kept as the problem.
//
// One thread. Between ask() and finish() nothing else may be asked of the same blocks.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/disk.h"
#include "tests/crash/machine.h"

namespace dmremap::test {

class User {
public:
    User(Machine& machine, Values& values) : machine_(machine), values_(values) {}
    ~User() { vanish(); }
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    struct Asked {
        Request request;
        std::vector<std::byte> data;
        std::uint64_t first = 0, count = 0;  // sectors
        std::uint32_t value = 0;
        User* user = nullptr;
        std::mutex mutex;
        std::condition_variable changed;
        bool finished = false;
        int error = 0;
    };

    const std::string& problem() const { return problem_; }
    void fail(const std::string& what);

    bool open(const OpenOptions& options = {});  // false: refused, and the problem says so
    void close();                                // in order
    using InFlight = std::vector<std::unique_ptr<Asked>>;
    void vanish(const InFlight& in_flight = {});  // the process is killed
    // The process is killed after so many calls, while it opens, closes, or does a request.
    enum class During : std::uint8_t { open, close, request };
    void vanish_during(During what, std::uint64_t calls, std::uint64_t offset,
                       std::uint64_t length);
    Disk& disk() { return *disk_; }
    bool is_open() const { return disk_ != nullptr; }

    // Null: not asked, since it could not be judged (part of a sector that may be one of many).
    std::unique_ptr<Asked> ask(Op op, std::uint64_t offset, std::uint64_t length,
                               bool durable = false);
    void finish(std::unique_ptr<Asked> asked);

    // While nothing else is under way.
    void run(Op op, std::uint64_t offset, std::uint64_t length, bool durable = false);
    // Asks the disk where everything is, when it has come to rest; not while something is under
    // way.
    void learn_homes();
    void flush();
    void salvage();
    // Whole blocks, by hand. Unmapping may be refused for each reason that disk.h gives.
    void remap(std::uint64_t sector, std::uint64_t count);
    void unmap(std::uint64_t sector, std::uint64_t count);

    // Everything in the area; `settle`: the disk was just opened, so what is read is durable, but
    // for these blocks.
    void read_area(bool settle, const std::set<std::uint64_t>& but_for = {});
    // The list of remaps against itself and the model.
    void check_remaps();

private:
    static void wait(Asked& asked);
    bool may_refuse_unmap(std::uint64_t sector, std::uint64_t count) const;
    bool no_slot_in_reach(int error) const;
    void judge_by_hand(const std::string& what, const RangeResult& result, bool may_refuse);
    void judge(const Asked& asked);
    void judge_data(std::uint64_t first, std::uint64_t count, std::uint64_t offset,
                    const std::byte* data, std::uint64_t length);
    void read_by_unit(std::uint64_t first, std::uint64_t end, bool settle);
    void settle_sectors(std::uint64_t first, std::uint64_t count, const std::byte* data);
    bool part_may_be_eio(std::uint64_t offset, std::uint64_t length) const;
    bool rest_may_be_eio(std::uint64_t first, std::uint64_t count) const;

    Machine& machine_;
    Values& values_;
    std::unique_ptr<Disk> disk_;
    std::string problem_;
};

}  // namespace dmremap::test
