// SPDX-License-Identifier: GPL-2.0-or-later
// A fixed history of a disk that uses all it can do: relocations after reads and writes, of whole
// blocks and in part, lost sectors that are rewritten and salvaged, bad slots, a page that is
// retired and repaired, growth of the table, remapping and unmapping by hand, zeroing, discarding,
// flushes; in three sessions, of which the last ends with the power.
//
// It runs while something goes wrong (Trouble), and holds every answer against what may be believed
// (Belief) and against the promises:
//   * an error needs a reason: something struck during this very call, or goes on striking, or the
//     disk says by its state or its breaker that it can not, or the sector is lost on main
//   * a single error of any kind never leads to an error later on, but through a failed flush or
//     commit, and then the state says read_only until the next opening
//   * nothing but what is truly bad on main is remapped, nothing but what is truly bad on the spare
//     becomes a bad slot, and nothing but what main can not read is lost
//   * a flush that failed is followed by none that succeeds before the next opening
//   * what was flushed is there when the power went off and everything has healed; and then all
//     that was ever lost can be read again, for main keeps what it has
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/disk.h"
#include "tests/sweeps/belief.h"
#include "tests/sweeps/machine.h"
#include "tests/sweeps/trouble.h"

namespace dmremap::test {

class Workload {
public:
    // Puts what injects between the disk and the machine's devices.
    using Wrap = std::function<std::unique_ptr<Device>(std::unique_ptr<Device>, bool main)>;

    Workload(Machine& machine, Trouble& trouble, Wrap wrap);
    ~Workload();

    // Runs it on the reset machine and looks at what is left; "" or what was wrong.
    std::string run(std::uint64_t seed);

    const std::vector<Event>& events() const { return events_; }
    // A read, write or zeroing failed with this.
    bool failed_with(int error) const { return io_errors_.contains(error); }

private:
    void first_session();
    void second_session();
    void third_session();
    bool open();
    void close();
    void at_the_end(std::uint64_t seed);
    void look_at_what_is_left(bool salvaged);
    bool retried(std::uint64_t sector) const;

    void write(std::uint64_t sector, std::uint64_t count);
    void write_bytes(std::uint64_t offset, std::uint64_t length);
    void zero(std::uint64_t sector, std::uint64_t count);
    void discard(std::uint64_t sector, std::uint64_t count);
    void read(std::uint64_t sector, std::uint64_t count);
    void flush();
    void salvage();
    void scan();
    void by_hand(bool unmap, std::uint64_t block, std::uint64_t blocks);

    template <typename Work>
    auto in_disk(Work work) {
        const InDisk in(trouble_);
        return work();
    }

    void bad_on_main(std::uint64_t sector, std::uint64_t count, const char* access,
                     const char* options = "");
    bool disk_lost_any_of(std::uint64_t block, std::uint64_t blocks) const;
    void bad_slot_of(std::uint64_t block);
    void bad_page_of(std::uint64_t block);
    void begin(const std::string& what);
    void judge(int error, bool lost_explains = false);
    void judge_io(int error, bool lost_explains = false);
    bool may_be_remapped(std::uint64_t block) const;
    void judge_events();
    void judge_causes();
    std::vector<Event> copy_of_events() const;

    Machine& machine_;
    Trouble& trouble_;
    const Wrap wrap_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<Belief> belief_;
    std::string doing_;  // for what is wrong
    std::uint32_t version_ = 1;
    std::uint64_t hits_before_ = 0, flush_hits_at_open_ = 0;
    std::size_t events_before_ = 0;
    bool tripped_before_ = false;
    bool flush_failed_ = false;           // in this session
    bool page_is_bad_ = false;            // the first one's second copy
    bool never_answered_ = false;         // main, since some opening
    std::set<std::uint64_t> bad_blocks_;  // that may be remapped
    std::set<std::uint64_t> bad_slots_;   // sectors of the spare
    std::set<int> io_errors_;
    mutable std::mutex mutex_;
    std::vector<Event> events_;
};

}  // namespace dmremap::test
