// SPDX-License-Identifier: GPL-2.0-or-later
// The entry table of an open spare: which slot holds which main block, and how that changes on
// disk.
//
// Fault model: a power cut may keep, drop, tear or garble each write since the last flush, within
// the page it went to; a page write may fail, and then its old content may or may not be left.
//
// A commit is a group of changes of entries, whose slots' data is already flushed:
//   1. the pages concerned, as they shall be, go to the first copy; flush
//   2. the same pages go to the second copy; flush
// During 1 the second copy is whole, during 2 the first one: at every instant each page has a whole
// copy, and which of two versions of an entry is newer its sequence tells. After 1's flush a change
// is durable, after 2's it is so twice, and only that counts: a copy that keeps the older version,
// valid as it is, would be believed the day the newer one cannot be read (FORMAT.md, doubt).
//
// What can fail, and what then holds (a change that was once under the pen only rolls forward):
//   * page write of step 1 fails: the first copy is now worth nothing, the second is the last good
//     one and is not touched. The page is retired; the outcome is `page_failed`, and the caller
//     makes the same change on another page, with a newer sequence, which wins whatever is on the
//     first copy. Live entries of a retired page are moved away by the healer.
//   * flush of step 1 fails: nothing is known: `unknown`. The caller fences the block. Nothing is
//     ever written to the table again.
//   * page write of step 2 fails: durable once. The page is retired; the outcome is `durable_once`,
//     and the caller makes the same change on another page before it acknowledges anything, while
//     there is one that takes both copies.
//   * flush of step 2 fails: durable once, published; nothing is ever written again, and no flush
//     of the spare succeeds any more.
//
// All this is for the medium's errors. A write that fails for want of resources (no memory, no room
// under an image, the device gone: see error_class.h) says nothing of the page and retires none. It
// is tried again, the same snapshot; then the copy is read:
//   * in step 1, when it holds what it held before, the change was never made: `refused`.
//   * otherwise the page is owed a copy. It is as good as retired, and nothing at all is committed,
//     until that copy is written from what memory says, and flushed: pay_back(), which each commit
//     begins with. In step 1 that takes the change back before anything else is built on the page
//     (`page_failed`, and it goes elsewhere, behind the payment). The copy may have held the change
//     meanwhile, so what it takes the place of gets a sequence above it, in both copies. In step 2
//     it makes it durable twice, and while that is not done no flush of the disk succeeds (`owed`).
//     So of a page's two copies one is whole all the time, and never do two pages wait for one that
//     are not of the same commit.
//
// An erasure (a slot becomes free or bad) goes into a commit only after the claim that replaced it
// is durable in an earlier one: were both in one page write, a torn write could leave neither.
//
// A retired page takes no new remaps. Nothing is written to it: of its copies one is not to be
// relied on and the other is the last. It stays so until the next open, which tries again.
//
// Sequences: entry_epoch << 32 + n. The epoch rises durably before the first commit of a session,
// above that of every entry found (dmr_next_epoch), so that no number is ever used twice, not even
// one that is on a copy nobody could read.
//
// A scan looks at pages that are in use (check_page). Both copies must say what memory says, for it
// is what both were last given. A copy that does not is rewritten from the same snapshot, flushed
// and read back, one copy after the other: a good one is not touched while the other is under the
// pen, so a crash in it leaves what there was, or better. Where neither did, memory alone knows
// what lived there until one of them took it. A page whose copies do not both take it is retired,
// and the healer moves what lives there; if neither does, what moved away leaves a page that no
// opener can read, and people must be told. Only the medium's errors speak against a copy: a spare
// that is gone, or is somebody else's by now, is left alone, and a page whose other copy is good is
// owed one that cannot be written just now.
//
// Threads: one owner changes (the healer's thread, or the opener before it starts); the const
// members may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "core/device/device.h"
#include "core/format.h"
#include "core/meta/packed_entries.h"
#include "core/meta/superblock_store.h"
#include "core/meta/table_load.h"

namespace dmremap {

// What an entry shall say; sequence, time and CRC are the table's business.
struct EntryChange {
    std::uint64_t slot = 0;
    std::uint8_t state = DMR_FREE;
    std::uint64_t main_block = DMR_NO_BLOCK;
    std::uint8_t lost = 0;
    std::uint8_t retry = 0;
    std::uint8_t reason = DMR_REASON_NONE;
    // The slot whose claim on the block this one takes over: superseded in the same instant, so
    // that nobody ever counts or lists the block twice.
    std::optional<std::uint64_t> replaces = std::nullopt;
};

enum class PageCheck : std::uint8_t {
    good,      // or retired before
    repaired,  // both copies are good again
    retired,   // one is
    lost,      // none is; retired, too
    unknown,   // the spare cannot be asked, or cannot be written, now
};

enum class CommitOutcome : std::uint8_t {
    durable,       // in both copies
    durable_once,  // the page is retired: to be made on another one, and the claim here replaced
    owed,          // durable once, and its page gets the other copy as soon as that can be written
    page_failed,   // the page is retired, and nobody knows what it says: to be made on another one
    unknown,
    refused,  // no entry write was issued, for a reason that is no fault of the page's, see
              // device_error(); the same change can be made again
};

struct LiveRemap {
    std::uint64_t block, slot, time;
    std::uint8_t lost, retry, reason;
};

struct TableCounts {
    std::uint64_t slots = 0;  // of the spare, those not initialised yet included
    std::uint64_t used = 0, bad = 0;
    std::uint64_t unusable = 0;  // free or superseded on retired pages, or never to be initialised
    std::uint64_t retired_pages = 0;
    std::uint64_t lost_sectors = 0, retry_sectors = 0;
};

class EntryTable {
public:
    // Takes over what load_table() found. `store` must outlive the table.
    EntryTable(Device& spare, SuperblockStore& store, LoadedTable loaded);

    // Opening for writing: brings every page that can be to two good copies, mixed ones piece by
    // piece, then erases superseded claims whose winner has two. Idempotent; a crash in it is just
    // another crash. Returns the errno of a failed flush (the table is then broken), and counts
    // what was done.
    int repair(std::uint64_t& pages_rewritten, std::uint64_t& claims_erased);

    // Reads both copies of a page again, see above; of one that is retired already nothing. Between
    // commits. Throws bad_alloc, and then nothing was written.
    PageCheck check_page(std::uint64_t page);

    // A free slot on a good page, reserved for the caller until it is committed or given back;
    // grows the table when needed. Nothing, and in `error` why: ENOSPC, no slot is left; EROFS, the
    // table is broken; or what the spare answered where the table was to grow, which says nothing
    // of room. Throws bad_alloc, and then nothing is reserved.
    std::optional<std::uint64_t> allocate(int& error);
    std::optional<std::uint64_t> allocate() {
        int error = 0;
        return allocate(error);
    }
    void give_back(std::uint64_t slot);

    // Looks for the next free slot so many pages further on: pages go bad in neighbourhoods.
    void look_further(std::uint64_t pages);

    // See above; one outcome a change, in order. No two changes of one slot. A slot that is
    // replaced by a durable change is neither live nor free until a commit erases it. Throws
    // bad_alloc, and then nothing was written and nothing has changed: all memory is had before the
    // first write.
    std::vector<CommitOutcome> commit(std::span<const EntryChange> changes);

    // Writes what pages are owed, if any. 0: nothing is owed any more, or nothing can be for the
    // medium's sake; EIO: the table is broken; else the errno for which it must wait. Between
    // commits. Throws bad_alloc.
    int pay_back();
    bool owes() const { return !owed_.empty(); }  // owner's thread only

    // Not 0: a change that was published is durable in one copy, and the other still holds the
    // older version, because it could not be written, with this errno: a flush must not succeed
    // meanwhile. Where it turned out that it never can be, as long as a block lives on that page.
    // Any thread.
    int old_version_left() const { return old_version_left_; }

    // For an opener, after everything else it writes: the blocks that are in doubt (FORMAT.md), for
    // an older version of their mapping is valid on a page that is not good. Reads these pages.
    // Returns 0, or the errno of a read that failed for another reason than damage.
    int find_doubts(std::vector<std::uint64_t>& blocks);

    // What the spare answered last to a commit or to growing that it did not take whole; 0 where it
    // took all. Owner's thread only.
    int device_error() const { return device_error_; }

    // Whether an older claim on the block is still to be erased, or may be on a page that cannot be
    // written: then its winner must not be freed. Owner's thread only.
    bool may_have_older_claim(std::uint64_t block) const;

    // After a failed flush: no commit is ever tried again.
    bool broken() const { return broken_; }
    bool retired(std::uint64_t slot) const;  // owner's thread only

    // Slots that hold a live remap on a retired page, at most `limit`. Owner's thread only.
    std::vector<std::uint64_t> live_on_retired_pages(std::size_t limit) const;

    dmr_entry entry(std::uint64_t slot) const;
    bool live(std::uint64_t slot) const;  // holds the claim that counts
    std::uint64_t ready() const;          // entries that exist
    std::uint64_t pages() const;          // that hold them
    TableCounts counts() const;
    std::uint64_t commits() const;

    // All live remaps at one instant, by slot: each block once, wherever it moves meanwhile.
    // Commits wait for it, requests do not.
    std::vector<LiveRemap> live_remaps() const;

    // The live remap of this block. Looks through all entries: for people who ask, not for
    // requests.
    std::optional<LiveRemap> find_live(std::uint64_t block) const;

    // Calls `each(slot, entry)` for the live remaps, a bounded number under the lock at a time.
    template <typename Each>
    void for_each_live(Each&& each) const {
        std::vector<std::pair<std::uint64_t, dmr_entry>> batch;
        for (std::uint64_t from = 0; (from = collect_live(from, batch)) != 0;) {
            for (const auto& [slot, entry] : batch) {
                each(slot, entry);
            }
        }
    }

private:
    // How a copy took a page. Untouched: it did not, and holds what it held. Unsure: it did not,
    // and may hold anything. Failed: so, for the medium's sake.
    enum class Put : std::uint8_t { done, failed, untouched, unsure };
    struct PageWrite {
        std::vector<dmr_entry> image;
        Put first, second;
    };
    struct Scratch {
        std::vector<dmr_entry> before, found;  // of a page
    };

    std::uint64_t collect_live(std::uint64_t from,
                               std::vector<std::pair<std::uint64_t, dmr_entry>>& batch) const;
    dmr_entry sealed(std::uint64_t slot) const;  // with its CRC
    std::vector<dmr_entry> page_image(std::uint64_t page) const;
    void fill_image(std::uint64_t page, std::vector<dmr_entry>& image) const;
    enum class Copy : std::uint8_t { good, bad, unknown };
    Copy look_at(int copy, std::uint64_t page, const std::vector<dmr_entry>& image,
                 std::vector<dmr_entry>& found);
    int rewrite(int copy, std::uint64_t page, const std::vector<dmr_entry>& image,
                std::vector<dmr_entry>& found);
    int write_page(int copy, std::uint64_t page, const std::vector<dmr_entry>& image);
    Put put(int copy, std::uint64_t page, const std::vector<dmr_entry>& image, Scratch& scratch);
    void publish(std::span<const EntryChange> changes,
                 const std::map<std::uint64_t, PageWrite>& writes,
                 std::unordered_set<std::uint64_t>& replaced, bool first_durable,
                 std::vector<CommitOutcome>& outcomes);
    void pay_at_once(std::span<const EntryChange> changes, std::vector<CommitOutcome>& outcomes);
    void renew(std::uint64_t slot);
    void forget_old_versions();
    int worse_copy(std::uint64_t page) const;
    void set_health(std::uint64_t page, PageHealth health);  // the caller holds the mutex
    void retire(std::uint64_t page);
    int mend(std::uint64_t page, bool& whole);
    void room_to_owe(std::size_t pages);              // throws bad_alloc
    void owe(std::uint64_t page, PageHealth health);  // after room_to_owe()
    int grow();
    bool usable(std::uint64_t slot) const;
    void account(const dmr_entry& entry, int sign);
    int flush();

    Device& spare_;
    SuperblockStore& store_;
    std::uint64_t per_page_;
    std::uint64_t next_sequence_;
    std::uint64_t hint_ = 0;  // where the search for a free slot goes on
    bool broken_ = false;
    int device_error_ = 0;
    std::atomic<int> old_version_left_ = 0;
    std::unordered_set<std::uint64_t> reserved_;

    mutable std::mutex mutex_;  // the rest; never held across I/O
    bool full_grown_ = false;   // no further step can be initialised
    PackedEntries entries_;
    std::vector<PageHealth> pages_;
    std::vector<std::uint64_t> owed_;        // pages with one good copy that shall get the other
    std::vector<std::uint64_t> taken_back_;  // of these, those that shall get both, the first first
    std::vector<std::uint64_t> unpaid_;      // see old_version_left(): these never can be
    std::unordered_set<std::uint64_t> superseded_;
    std::uint64_t free_ = 0;  // free slots on good pages
    std::uint64_t commits_ = 0;
    TableCounts counts_;
};

}  // namespace dmremap
