// SPDX-License-Identifier: GPL-2.0-or-later
// The healer: the one thread that changes mappings.
//
// It takes pieces that failed or that need a closed gate, and its own chores (retry sectors, blocks
// on retired pages), and works in rounds: close the gates of what waits, work behind those that
// have drained, commit everything staged as one batch (its flushes are shared), complete the
// requests, open the gates, and let the parked pieces go on. It never waits for one gate while
// another could be worked behind. A round ends after a while even if there is more to do, so that
// who has been served hears of it; chores are taken up a few at a time when no request waits,
// seldom else, and not at all when the disk is being closed: a salvage of a dying disk may take
// hours.
//
// Within a round a gate serves several jobs only if their blocks do not meet: what is staged is not
// in the mapping yet.
//
// Memory: the thread does not end for want of it. A request whose job cannot be queued or done
// fails with ENOMEM and nothing is lost by it; a chore that cannot be queued waits for the next
// time chores are looked for. What is being committed: see batch.h.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/engine/batch.h"
#include "core/engine/block_io.h"
#include "core/engine/context.h"
#include "core/engine/exclusive.h"
#include "core/engine/piece.h"
#include "core/range_result.h"

namespace dmremap {

// Remapping or unmapping by hand, or what a scan wants done, of blocks of one region. Where it
// takes long only some of them are done, and `last` becomes the last of these.
struct HandWork {
    enum class Kind : std::uint8_t {
        remap,
        unmap,
        forced_unmap,
        check,         // for the scan, see Exclusive::check()
        check_failed,  // a read of each of the blocks alone has failed
        move_slow,
        map_anew,  // for the opener, see Exclusive::map_anew()
    } kind = Kind::remap;
    std::uint64_t first = 0, last = 0;  // blocks
    RangeResult result;                 // adds to what is there
    std::uint64_t bad = 0, weak = 0;    // of at most 64 blocks, bit i: a check found first + i so

    HandWork* next = nullptr;  // the healer's own
    bool done = false;
};

class Healer {
public:
    // What the healer gives back to the disk. Called on its thread, behind no gate.
    struct Callbacks {
        void* disk;
        void (*finished)(void* disk, Piece& piece, int error);
        void (*resume)(void* disk, Piece* parked);  // linked by `next`
    };

    Healer(Context& disk, Callbacks callbacks);
    ~Healer();

    // Throws bad_alloc or system_error when there is no thread to be had.
    void start();

    // Any thread; the piece has left its gate.
    void take(Piece& piece);

    // A closed gate has drained. Any thread.
    void wake();

    // Retries all lost sectors now; returns how many came back. Blocks; any thread but
    // completions'. When `cancelled`, asked several times a second, says so, it no longer waits.
    std::uint64_t salvage(const std::function<bool()>& cancelled);

    // Carries out the work. Blocks; any thread but completions'. False: the healer has been
    // stopped, nothing was done.
    bool by_hand(HandWork& work);

    // Runs the errand on the healer's thread, between two rounds: nothing is staged then, and
    // superblock and table are its own. What it throws for want of memory ends it. Blocks; any
    // thread but completions'. False: the healer has been stopped, nothing was done.
    bool between_rounds(const std::function<void()>& errand);

    // Finishes what is queued, commits erasures, ends the thread. No piece may come afterwards.
    void stop();

    // The first half of it: takes no more chores, work by hand or errands, and waits for nothing.
    void begin_to_stop();

private:
    // Gates are closed for about so long, however much there is to do behind them.
    static constexpr auto kRoundLasts = std::chrono::milliseconds(100);

    struct Job {
        enum class Kind : std::uint8_t { piece, retry, move, hand } kind = Kind::piece;
        Piece* piece = nullptr;
        HandWork* work = nullptr;
        std::uint64_t slot = 0;             // of a move
        std::uint64_t first = 0, last = 0;  // blocks concerned
        unsigned gate = 0;
        int error = 0;
        std::vector<std::uint64_t> staged;  // blocks whose commit decides
    };

    struct Errand {
        const std::function<void()>* what;
        Errand* next;
        bool done;
    };

    void serve();
    void collect();
    void queue(Job job);
    void run_errands();
    void close_gates();
    bool round();
    void finish();
    bool pay_back();
    void find_chores();
    void add_chores();
    void do_job(Job& job);
    void carry_out(Job& job);
    void give_up(Job& job, int error);
    void do_by_hand(Job& job);
    int do_block_by_hand(HandWork& work, std::uint64_t block);
    bool meets_active(const Job& job) const;
    void update_causes();
    std::chrono::steady_clock::time_point next_wake() const;
    std::chrono::steady_clock::time_point next_retry() const;

    Context& disk_;
    Callbacks callbacks_;
    BlockIo io_;
    Batch batch_;
    Exclusive exclusive_;
    std::thread thread_;

    // The healer's thread only.
    std::deque<Job> waiting_;  // gates not asked for yet
    std::vector<Job> active_;  // gates closed
    std::deque<Job> chores_;   // to be done when nothing else waits
    unsigned turns_without_chore_ = 0;
    std::vector<Job> done_;                  // in this round
    std::array<unsigned, kGates> closed_{};  // jobs active behind each gate
    std::vector<std::uint64_t> unmovable_;   // slots on retired pages that cannot be moved just now
    std::chrono::steady_clock::time_point last_retry_;
    unsigned low_mark_ = 100;          // percent of free slots last reported
    std::uint64_t retired_pages_ = 0;  // last reported

    std::mutex mutex_;
    std::condition_variable changed_;
    Piece* first_ = nullptr;
    Piece* last_ = nullptr;
    bool woken_ = false;
    bool stopping_ = false;
    HandWork* first_work_ = nullptr;  // not taken over yet
    HandWork* last_work_ = nullptr;
    Errand* first_errand_ = nullptr;
    Errand* last_errand_ = nullptr;
    std::uint64_t salvages_asked_ = 0, salvages_begun_ = 0, salvages_done_ = 0;
};

}  // namespace dmremap
