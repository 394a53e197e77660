// SPDX-License-Identifier: GPL-2.0-or-later
// A group of changes of the mapping that share their flushes: relocations, moves from slot to slot,
// and clearings of lost marks, staged behind closed gates and committed together.
//
// Order (FORMAT.md, relocation): staging writes the slot's data; commit() flushes the spare once,
// commits the entries (both copies, see entry_table.h), and only then publishes them in the
// mapping. Who staged a change acknowledges its request after commit(), before its gate opens.
//
// What fails before an entry write was issued leaves the block as it was. Afterwards a change only
// rolls forward: a page that cannot be written, in either copy, sends it to another slot; where
// that is not possible either, or a flush failed, the disk is read_only until it is reopened, and
// the block is fenced (EIO), for which claim the next open finds is not known. Only a block that
// was moved as it was stays readable where it is: either slot is right as long as nobody writes,
// and requests look at the state inside the gate.
//
// What got to one copy of its page alone goes to another slot, too, some pages further away each
// time. Where none takes both copies, as when all of the second table takes no write, it counts in
// one, and the disk says so (metadata_in_doubt).
//
// Blocks that go back to main come last, in a commit of their own: see batch_unmap.cpp.
//
// Want of resources (no memory, no room under an image) sends nothing elsewhere and fences nothing
// by itself: what was refused before an entry write was issued is made again, and fails with its
// errno when that has been in vain; what needs another slot and gets none just now asks again.
//
// Erasures (old slots that become bad or free) wait for the commit after the one that made their
// replacement durable: see entry_table.h. While the replacement stands on a retired page, in one
// copy, they go on waiting, also in the commit that moves it away, for that may fail: were the last
// copy lost the older claim is what tells an opener that there was one.
//
// Memory: where it does not suffice staging fails, and nothing is staged then. A commit has all of
// it before an entry is written: publishing and fencing ask for none. Only a change that must go to
// another slot asks again, and like any that cannot go there it is fenced in the end. An erasure
// for which there is none is forgotten; the next opener makes it.
//
// One thread (the healer's).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/engine/block_io.h"
#include "core/engine/context.h"

namespace dmremap {

using BlockData = std::array<std::byte, DMR_BLOCK_SIZE>;

struct OldSlot {
    std::uint64_t slot;
    bool bad;   // it failed a write; otherwise its page is retired
    bool same;  // it holds what the new slot gets: nobody wrote anything
};

class Batch {
public:
    Batch(Context& disk, BlockIo& io) : disk_(disk), io_(io) {}

    // Writes `data` to a new slot for `block`. 0: staged. ENOSPC: no slot left; or the errno, for
    // want of memory ENOMEM. `salvaged`: lost sectors of the old slot that came back from main. May
    // commit what is staged, and so publish it, to get a slot that an erasure frees.
    int relocate(std::uint64_t block, const BlockData& data, SectorMask lost, SectorMask retry,
                 std::uint8_t reason, std::optional<OldSlot> old, SectorMask salvaged = 0);

    // The block's slot holds new data already; its marks become these. `salvaged`: the sectors came
    // back from main; otherwise the user wrote them. Throws bad_alloc.
    void change_marks(const Remap& remap, SectorMask lost, SectorMask retry, bool salvaged);

    // The block's data, but for what is lost, was written to main, too; once that is durable and
    // proven, its slot becomes free. Throws bad_alloc.
    void unmap(const Remap& remap, const BlockData& data);

    bool empty() const { return staged_.empty(); }
    bool has_erasures() const { return !erasures_.empty(); }
    // Whether no slot was left for some block since this was last asked.
    bool take_ran_out() { return std::exchange(ran_out_, false); }

    // Commits and publishes everything staged, with the erasures that are due. Afterwards
    // result(block) says for each staged block whether it is durable (0) or not (errno; ENOMEM: no
    // entry was written). Also called with nothing staged, to get erasures out of the way. Does not
    // throw.
    void commit();
    int result(std::uint64_t block) const;
    void reset();

private:
    struct Staged {
        std::uint64_t block = 0;
        std::uint64_t slot = 0;
        SectorMask lost = 0, retry = 0;
        std::uint8_t reason = 0;
        std::optional<OldSlot> old;
        std::unique_ptr<BlockData> data;  // null: marks only, the slot holds the data
        SectorMask cleared = 0;           // marks that go
        bool salvaged = false;
        bool unmap = false;     // the entry becomes free; data is what main holds
        bool issued = false;    // an entry write was issued to some copy
        bool slotless = false;  // it was, and now the change needs another slot
        // A slot on a retired page whose entry claims the block already, in one copy alone.
        std::optional<std::uint64_t> stands_once;
        unsigned stood_once = 0;  // how many pages took it in one copy
        bool settled = false;
        int result = 0;
        bool was_unmap = false;  // which had to become a move
        int refused = 0;         // the result of a change that is published, and not acknowledged
    };

    int write_new_slot(const BlockData& data, std::uint64_t& slot);
    void stage(Staged staged);
    void make_room_in_map();
    void erase_later(std::uint64_t slot, bool bad) noexcept;
    bool winner_is_firm(std::uint64_t slot) const;
    std::size_t due_erasures();
    void try_commit(int tried);
    void commit_claims(int tried);
    void commit_unmaps();
    bool older_claim_goes(std::uint64_t block) const;
    int judge_unmap(const Staged& staged);
    int compare_main(const Staged& staged);
    void publish_unmap(Staged& staged);
    void back_to_a_slot(Staged& staged, bool freed);
    void send_elsewhere(Staged& staged, bool durable_once);
    static bool may_pass(int error);
    void find_slot(Staged& staged);
    void rest_on_one_copy(Staged& staged);
    void publish(Staged& staged);
    void fail(Staged& staged, int error);

    Context& disk_;
    BlockIo& io_;
    std::vector<Staged> staged_;
    std::unordered_map<std::uint64_t, int> results_;  // by block, after commit()
    std::vector<EntryChange> erasures_;
    bool ran_out_ = false;
};

}  // namespace dmremap
