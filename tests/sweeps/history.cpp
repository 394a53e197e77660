// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <unordered_map>

namespace dmremap::test {

namespace {

constexpr std::uint64_t kFirstBad = kUntouchedBlocks;  // blocks from here on take no writes
constexpr std::uint32_t kLost = 0;                     // as a version

// What the builder is about to rely on has to be so.
void must(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(std::string("history: ") + what);
}

class Builder {
public:
    explicit Builder(History& history)
        : history_(history),
          pair_(history.pair),
          unit_(history.past.shape.main_logical / kSector),
          versions_(history.pair.sectors(), 1) {}

    void build() {
        pair_.fill_main(1);
        pair_.format();
        remember();
        many_remaps();
        losses(after_remaps(), 4);
        forget_retries();
        losses(after_remaps() + 8, 4);
        rewrite_and_salvage();
        bad_slots();
        by_hand();
        if (history_.past.retire_page) retired_page();
        last_session();
        finish();
    }

private:
    std::uint64_t after_remaps() const { return kFirstBad + history_.past.remaps; }

    void remember() { history_.older.push_back(pair_.spare->snapshot()); }

    void open(const OpenOptions& options = {}) { pair_.open(options); }
    void close() {
        must(pair_.disk->close() == 0, "a session does not close");
        pair_.disk.reset();
        remember();
    }

    void write(std::uint64_t sector, std::uint64_t count) {
        ++version_;
        must(write_sectors(*pair_.disk, sector, count, version_) == 0, "a write fails");
        for (std::uint64_t s = sector; s < sector + count; ++s) versions_[s] = version_;
    }

    // Main can not be read there.
    void make_unreadable(std::uint64_t sector, std::uint64_t count) {
        Fault fault;
        fault.read = true;
        pair_.main->set_fault(sector, count, fault);
        for (std::uint64_t s = sector; s < sector + count; ++s) versions_[s] = kLost;
    }

    // A read of a block of which something can not be read.
    void lose(std::uint64_t block) {
        std::vector<std::byte> bytes(kBlock);
        must(pair_.disk->read(block * kBlock, bytes.data(), bytes.size()) == EIO,
             "a bad block reads well");
    }

    std::uint64_t slot_of(std::uint64_t block) const {
        const auto remap = pair_.remap_of(block);
        must(remap.has_value(), "a block is not remapped");
        return remap->slot;
    }

    void break_slot(std::uint64_t slot) {
        const dmr_superblock sb = pair_.superblock();
        Fault fault;
        fault.write = true;
        pair_.spare->set_fault(dmr_slot_offset(&sb, slot) / kSector, 8, fault);
    }

    void many_remaps() {
        open();
        Fault fault;
        fault.write = true;
        pair_.main->set_fault(kFirstBad * 8, history_.past.remaps * 8, fault);
        const std::uint64_t half = history_.past.remaps / 2;
        write(kFirstBad * 8, half * 8);
        remember();
        write((kFirstBad + half) * 8, (history_.past.remaps - half) * 8);
        close();
    }

    // Blocks that lose a sector, several, all, and one that takes a write while the rest is lost.
    void losses(std::uint64_t block, std::uint64_t blocks) {
        open();
        must(blocks == 4, "there are four kinds of losses");
        make_unreadable(block * 8, unit_);
        make_unreadable((block + 1) * 8 + 8 - unit_, unit_);
        if (unit_ == 1) make_unreadable((block + 1) * 8 + 2, 3);
        make_unreadable((block + 2) * 8, 8);
        for (std::uint64_t i = 0; i < 3; ++i) lose(block + i);
        Fault fault;
        fault.read = fault.write = true;
        pair_.main->set_fault((block + 3) * 8, 8, fault);
        write((block + 3) * 8, unit_);
        for (std::uint64_t s = unit_; s < 8; ++s) versions_[(block + 3) * 8 + s] = kLost;
        close();
    }

    // What was lost so far stays lost for good: entries with lost marks and no retry marks.
    void forget_retries() {
        OpenOptions options;
        options.accept_changed_main = true;
        open(options);
        close();
    }

    void rewrite_and_salvage() {
        open();
        const std::uint64_t old = after_remaps(), young = old + 8;
        if (unit_ == 1) write((old + 2) * 8 + 1, 3);
        write((young + 2) * 8, 8);
        // One of the second block's sectors comes back.
        const std::uint64_t back = (young + 1) * 8 + 8 - unit_;
        pair_.main->heal(back, unit_);
        must(pair_.disk->salvage() == unit_, "a healed sector does not come back");
        for (std::uint64_t s = back; s < back + unit_; ++s) versions_[s] = 1;
        remember();
        close();
    }

    void bad_slots() {
        open();
        break_slot(slot_of(kFirstBad + 3));
        break_slot(slot_of(kFirstBad + 60));
        write((kFirstBad + 3) * 8, 8);
        write((kFirstBad + 60) * 8, unit_);
        write((kFirstBad + 5) * 8, 8);
        close();
    }

    // Some blocks go back to main, which takes them again, others leave it while it is whole.
    void by_hand() {
        open();
        const std::uint64_t back = kFirstBad + 20, away = next_block_;
        pair_.main->heal(back * 8, 3 * 8);
        must(pair_.disk->unmap(back * 8, 3 * 8).changed == 3, "blocks do not go back to main");
        must(pair_.disk->remap(away * 8, 2 * 8).changed == 2, "blocks do not leave main");
        next_block_ += 2;
        write(away * 8, 8);
        write((back + 1) * 8, 8);
        close();
    }

    // One copy of the first page takes no writes: everything in it moves, and at the next opening
    // its slots become free.
    void retired_page() {
        open();
        const dmr_superblock sb = pair_.superblock();
        Fault fault;
        fault.write = true;
        const std::uint64_t sector = dmr_page_offset(&sb, 1, 0) / kSector;
        pair_.spare->set_fault(sector, dmr_le32(sb.page_size) / kSector, fault);
        break_slot(slot_of(kFirstBad + 7));
        write((kFirstBad + 7) * 8, 8);  // its old slot becomes bad, in the first page
        trigger_commit();
        pair_.disk->salvage();  // returns when the healer has nothing left to do
        must(pair_.saw(EventKind::page_retired), "no page was retired");
        remember();
        close();
        pair_.spare->heal_all();
        open();
        close();
    }

    // A change of an entry, so that erasures that wait are committed with it.
    void trigger_commit() {
        const std::uint64_t block = next_block_++;
        Fault fault;
        fault.write = true;
        pair_.main->set_fault(block * 8, 8, fault);
        write(block * 8, 8);
    }

    // The last block of main, some free slots used again, and an end.
    void last_session() {
        open();
        const std::uint64_t tail =
            pair_.sectors() - (pair_.sectors() % 8 ? pair_.sectors() % 8 : 8);
        Fault fault;
        fault.write = true;
        pair_.main->set_fault(tail, pair_.sectors() - tail, fault);
        write(tail, pair_.sectors() - tail);
        trigger_commit();
        write(kFirstBad * 8, 40);
        remember();
        if (history_.past.one_copy_behind) {
            commit_to_one_copy(slot_of(tail / 8));
        } else if (history_.past.closed) {
            close();
            return;
        } else {
            // The old slot's erasure waits for a commit that does not come.
            break_slot(slot_of(kFirstBad + 9));
            write((kFirstBad + 9) * 8, 8);
        }
        pair_.crash();
    }

    // The second copy of this slot's page takes no write, and before anything can be moved away the
    // process is killed.
    void commit_to_one_copy(std::uint64_t slot) {
        const dmr_superblock sb = pair_.superblock();
        const std::uint64_t page = dmr_page_offset(&sb, 1, slot / dmr_entries_per_page(&sb));
        bool refused = false;
        pair_.spare->set_hook([&, page](const Call& call) {
            if (call.op == Op::write && call.offset == page) {
                refused = true;
                return EIO;
            }
            if (call.op == Op::flush && refused) pair_.power->cut_at(2);  // after this one
            return Medium::kPass;
        });
        trigger_commit();
        pair_.power->cut_now();
        pair_.spare->set_hook(nullptr);
        must(refused, "the page was not written to");
    }

    void finish() {
        pair_.main->heal_all();
        pair_.spare->heal_all();
        history_.spare = pair_.spare->snapshot();
        if (history_.older.back() == history_.spare) history_.older.pop_back();
        history_.superblock = pair_.superblock();
        history_.truth.resize(pair_.main->size());
        for (std::uint64_t s = 0; s < versions_.size(); ++s) {
            const bool lost = versions_[s] == kLost;
            if (!lost) {
                const auto bytes = pattern(s, 1, versions_[s]);
                std::memcpy(history_.truth.data() + s * kSector, bytes.data(), kSector);
            }
            auto& stretches = history_.stretches;
            // What is lost is asked for by logical block, the rest in large pieces.
            const bool starts =
                stretches.empty() || stretches.back().lost != lost || (lost && s % unit_ == 0);
            if (starts) stretches.push_back({s * kSector, 0, lost});
            stretches.back().length += kSector;
        }
        find_kinds();
    }

    void find_kinds() {
        std::unordered_map<std::uint64_t, std::uint64_t> newest;  // block -> slot
        const std::uint64_t entries = dmr_le64(history_.superblock.table_ready);
        const auto sequence = [&](std::uint64_t slot) {
            return dmr_le64(history_.entry(0, slot).sequence);
        };
        for (std::uint64_t slot = 0; slot < entries; ++slot) {
            const dmr_entry entry = history_.entry(0, slot);
            must(dmr_entry_valid(&history_.superblock, &entry, slot), "an entry is not valid");
            if (entry.state != DMR_REMAPPED) continue;
            const auto [at, fresh] = newest.try_emplace(dmr_le64(entry.main_block), slot);
            if (!fresh && sequence(slot) > sequence(at->second)) at->second = slot;
        }
        for (std::uint64_t slot = 0; slot < entries; ++slot)
            history_.slots.emplace(kind(slot, newest), slot);
        std::vector<std::string> wanted{"remapped", "lost", "lost and retry", "bad slot",
                                        "never used"};
        if (history_.past.retire_page) wanted.emplace_back("freed");
        if (!history_.past.closed && !history_.past.one_copy_behind)
            wanted.emplace_back("superseded");
        for (const std::string& name : wanted)
            must(history_.slots.contains(name), ("there is no entry of kind " + name).c_str());
    }

    std::string kind(std::uint64_t slot,
                     const std::unordered_map<std::uint64_t, std::uint64_t>& newest) const {
        const dmr_entry entry = history_.entry(0, slot);
        if (entry.state == DMR_BAD_SLOT) return "bad slot";
        if (entry.state == DMR_FREE) return entry.sequence != 0 ? "freed" : "never used";
        const std::uint64_t block = dmr_le64(entry.main_block);
        if (newest.at(block) != slot) return "superseded";
        if (entry.lost == 0)
            return block == (pair_.sectors() - 1) / 8 && pair_.sectors() % 8 ? "short" : "remapped";
        return entry.retry != 0 ? "lost and retry" : "lost";
    }

    History& history_;
    TestPair& pair_;
    const std::uint64_t unit_;  // sectors of a logical block
    std::vector<std::uint32_t> versions_;
    std::uint32_t version_ = 1;
    std::uint64_t next_block_ = after_remaps() + 16;
};

}  // namespace

History::History(const Past& wanted) : past(wanted), pair(wanted.shape) { Builder(*this).build(); }

std::uint64_t History::pages() const {
    const std::uint64_t per_page = dmr_entries_per_page(&superblock);
    return (dmr_le64(superblock.table_ready) + per_page - 1) / per_page;
}

std::uint64_t History::entry_offset(int copy, std::uint64_t slot) const {
    const std::uint64_t per_page = dmr_entries_per_page(&superblock);
    return page_offset(copy, slot / per_page) + slot % per_page * DMR_ENTRY_SIZE;
}

std::vector<std::uint64_t> History::slots_of(std::uint64_t block) const {
    std::vector<std::uint64_t> slots;
    for (std::uint64_t slot = 0; slot < dmr_le64(superblock.table_ready); ++slot)
        if (entry(0, slot).state == DMR_REMAPPED && block_of(slot) == block) slots.push_back(slot);
    return slots;
}

dmr_entry History::entry(int copy, std::uint64_t slot) const {
    dmr_entry entry;
    std::memcpy(&entry, spare.data() + entry_offset(copy, slot), sizeof(entry));
    return entry;
}

}  // namespace dmremap::test
