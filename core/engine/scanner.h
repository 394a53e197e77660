// SPDX-License-Identifier: GPL-2.0-or-later
// The scan: reads all of main, region by region, to find bad blocks before the user does.
//
// What it changes. Nothing itself. It only reads; what it finds goes to the healer as work by hand,
// who closes the gate, reads the block again and relocates it as after a failed read of a user
// (reason "scan", or "slow" for a weak one). So a scan can neither race with writers nor undo a
// write: between its read and the healer's anything may have happened, and only the healer's
// counts. Metadata is checked and repaired by the table's and the superblock's owner, the healer's
// thread, between two rounds. The breaker decides about finds as about any others.
//
// How it reads. A region of 1 MiB at a time, each inside the gate of its region as users' reads
// are: what is remapped it reads in the slot, never on main. Some are in flight at once. It holds
// nothing but one gate a read, so a change of the region waits for that read at most, as it would
// for a user's; idle I/O class or not, the kernel's schedulers serve any read in bounded time.
//
// A read that fails is halved, with nothing else in flight. Of two halves the second is not read
// when the first one is good, for then it is the bad one: so a lone bad block of the 256 of a
// region costs at most 2 log2(256) = 16 reads and half of them need not fail, which on a dying disk
// take the longest. Where a single block is left, the healer reads it, alone, and that read alone
// decides. An error that had passed by then was none; if the block itself had failed alone, it is
// weak.
//
// Slow blocks. See scan_latency.h for what is slow. A region that is, while no user was about, is a
// suspect. After 256 MiB more, when no drive has it in its cache any longer, it is read again, for
// most were slow by chance; if it is slow, its blocks one by one after 256 MiB more; the slow ones
// again after 256 MiB more; and a block that was slow each time is weak, unless reads of other
// places are slow as well just then: then it is the device.
//
// How it gives way: see scan_pace.h. It stands still while the breaker is tripped, nothing may be
// written, or a battery is low.
//
// A head that dies. The drive may take a minute for each read and then fail it. So nothing waits
// for a read but the scan itself: an order is in force at once and takes effect when the reads in
// flight are back, the cursor is saved meanwhile, and of a region in which all fails the blocks
// that were found go to the healer every half minute, not only when it is known to its end: hours
// of halving are not lost with a crash or a stop, for what is relocated is read in its slot from
// then on.
//
// What is kept. The cursor is in the superblock with every start, stop, pause and end, at a clean
// close, and, when it has moved, at least once a minute. It says what need not be read again in
// this pass, no more: a crash loses at most a minute of reading and the region at hand, of which
// all that was relocated stays so; a main that was changed meanwhile, or a superblock that is
// older, only means that something is read twice or in the next pass. All that is relocated is
// committed by the healer before the cursor passes it.
//
// When it runs. The first pass is asked for; then one is due `scan_interval_hours` after the end of
// the last one, if `background_scanning`. Across restarts the wall clock counts, within a session
// one that cannot jump. An end that lies in the future is taken for now and recorded so: a clock
// that was ahead delays a pass by an interval at most, one that is ahead brings one pass too early.
//
// Memory: the buffers are had when a pass begins or goes on; where there is none it waits. No
// thread of it ends for want of memory; a weak block that cannot be listed is not.
//
// Threads: everybody may ask and order; one thread scans, a few more read for it.
#pragma once

#include <array>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "core/device/aligned_buffers.h"
#include "core/engine/context.h"
#include "core/engine/healer.h"
#include "core/engine/scan_latency.h"
#include "core/engine/scan_pace.h"
#include "core/engine/scan_readers.h"
#include "core/meta/scan_record.h"
#include "core/scan_progress.h"

namespace dmremap {

// What a record says by itself, of a main of so many bytes.
ScanProgress progress_of(const ScanRecord& record, std::uint64_t size);

class Scanner {
public:
    // The healer is there from start() until stop() has returned, though it may refuse work by
    // then. power_supplies: see battery.h.
    Scanner(Context& disk, Healer& healer, Clock clock, std::string power_supplies);
    ~Scanner() { stop(); }

    // Goes on with the pass that the superblock says is under way. Throws system_error or bad_alloc
    // when there is no thread to be had.
    void start();
    void stop();

    // Sectors, for `start` only; count 0: all of main. 0: done and durable, or so already;
    //   EBUSY   start: a pass is under way
    //   ENOENT  pause, resume: none is
    //   EINVAL  the range is not inside the disk
    //   EROFS, ENODEV (being closed), or the errno of the superblock; then it is in force, but
    //   perhaps not after the next opening
    // Waits for a round of healing.
    int order(ScanOrder what, std::uint64_t sector, std::uint64_t count);

    // A parameter has changed.
    void wake();

    // Any thread. weak_blocks() throws bad_alloc.
    ScanProgress progress() const;  // but for `weak`, of which the caller knows more
    std::array<DaySample, DMR_HISTORY_DAYS> days() const;
    std::vector<WeakBlock> weak_blocks() const;

    // Puts what is to be kept into a superblock that is about to be written.
    void put(dmr_superblock& sb);

private:
    static constexpr unsigned kReaders = 4;
    static constexpr std::size_t kSuspects = 64;
    static constexpr std::size_t kWeakListed = 4096;

    struct Suspect {
        std::uint64_t region = 0;
        std::uint64_t after = 0;  // bytes read by this run when it is due
        unsigned looks = 0;
        RegionBlocks slow;  // each time so far
    };

    void serve();
    bool due() const;                                         // with the mutex held
    void begin_pass(std::uint64_t begin, std::uint64_t end);  // with the mutex held
    int persist();
    int write_record();  // on the healer's thread
    void note_today();
    bool stands() const;  // the orders, since the run began
    bool sleep_until(std::uint64_t ns);

    void run();
    bool have_buffers();
    bool read_all();
    bool take_front(std::uint64_t& next);
    void fill(std::uint64_t& next, std::uint64_t end);
    void await(ScanFlight& flight);
    void drain();
    void set_state(ScanState state, std::string_view waits_for);
    const char* obstacle();
    void probe();
    bool clear_way();
    bool handle(ScanFlight& flight);
    bool try_again();
    void finish(ScanFlight& flight);
    void judge_time(const ScanFlight& flight);
    void save_now_and_then();
    void keep_found();

    bool examine(std::uint64_t first, std::uint64_t end);
    bool halves(std::uint64_t first, std::uint64_t end);
    bool found_alone(std::uint64_t block, bool failed);
    bool heal_known(std::uint64_t region);
    bool read_alone(std::uint64_t first, std::uint64_t end, ScanFlight& flight);
    bool heal(std::uint64_t region, const RegionBlocks& blocks, HandWork::Kind kind);
    bool heal_run(HandWork& work);

    void suspect(std::uint64_t region);
    bool look_at_suspects(bool all);
    bool look(Suspect& suspect, bool& done);
    bool slow_everywhere(std::uint64_t region, bool& everywhere);
    bool quiet(const ScanFlight& flight) const;
    void note_weak(std::uint64_t block, std::uint64_t ns);
    void forget_weak(std::uint64_t first, std::uint64_t end);

    bool check_metadata();
    void end_pass();

    Context& disk_;
    Healer& healer_;
    const Clock clock_;
    const std::string power_supplies_;
    ScanReaders readers_;

    // The scanner's thread only.
    unsigned run_generation_ = 0;   // of the orders that the run carries out
    IdleCaller* caller_ = nullptr;  // of the scanner's thread
    std::array<ScanFlight, kReaders> flights_;
    std::array<AlignedMemory, kReaders> buffers_;
    unsigned first_flight_ = 0, flying_ = 0;
    ScanPace pace_;
    ScanLatency latency_;
    std::array<Suspect, kSuspects> suspects_;
    std::size_t suspected_ = 0;
    std::uint64_t read_bytes_ = 0;  // by this run
    std::uint64_t region_found_ = 0;
    RegionBlocks to_check_, failed_alone_;  // of the region at hand
    unsigned tries_ = 0;                    // of the region at hand, for want of resources
    std::array<std::uint64_t, kRegionBlocks> slow_ns_{};
    std::uint64_t saved_at_ = 0, saved_cursor_ = 0;  // by clock_.steady; a block
    std::uint64_t saved_found_ = 0;
    std::uint64_t healed_at_ = 0;   // by clock_.steady, of the region at hand
    std::uint64_t battery_at_ = 0;  // by clock_.steady, if it was ever looked at
    bool battery_known_ = false, battery_low_ = false;
    std::uint64_t probed_ns_ = 0, noted_ns_ = 0;
    std::uint64_t last_good_ = 0;  // a region
    bool skipped_ = false;         // something could not be looked at in this run
    std::uint64_t chance_ = 0x9E3779B97F4A7C15ull;

    std::thread thread_;
    mutable std::mutex mutex_;  // all below
    std::condition_variable changed_;
    ScanRecord record_;
    unsigned generation_ = 0;  // of orders
    bool stopping_ = false;
    bool woken_ = false;
    ScanState shown_ = ScanState::running;  // while a pass is under way
    std::string_view waits_for_;
    std::int64_t ended_steady_ = 0;  // when the last pass ended, by clock_.steady
    std::uint64_t errors_noted_ = 0;
    std::uint64_t rate_from_ns_ = 0, rate_bytes_ = 0, rate_ = 0;
    std::vector<WeakBlock> weak_;  // by sector
};

}  // namespace dmremap
