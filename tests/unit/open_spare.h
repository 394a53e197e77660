// SPDX-License-Identifier: GPL-2.0-or-later
// A formatted spare in memory whose metadata a test reads and writes without a disk over it, and
// what was written to it in words: "copy 1" (a superblock copy), "first 0", "second 0" (a page of
// the table's copies), "flush".
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/format.h"
#include "core/meta/entry_table.h"
#include "core/meta/superblock_store.h"
#include "core/meta/table_load.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

using Words = std::vector<std::string>;

struct FormattedSpare : TestPair {
    explicit FormattedSpare(const Shape& shape = {}) : TestPair(shape) {
        format();
        geometry = superblock();
        copies = dmr_copies(spare->size());
        spare->set_log(log);
    }

    std::uint64_t page_at(int copy, std::uint64_t page) const {
        return dmr_page_offset(&geometry, copy, page);
    }
    std::uint64_t page_size() const { return dmr_le32(geometry.page_size); }
    std::uint64_t entry_at(int copy, std::uint64_t slot) const {
        const std::uint64_t per_page = dmr_entries_per_page(&geometry);
        return page_at(copy, slot / per_page) + slot % per_page * DMR_ENTRY_SIZE;
    }
    std::uint64_t pages() const {
        const std::uint64_t per_page = dmr_entries_per_page(&geometry);
        return (dmr_le64(geometry.slots) + per_page - 1) / per_page;
    }

    // What a call concerns: "copy N", "first N", "second N", "slot", or "?".
    std::string place(std::uint64_t offset) const {
        for (unsigned i = 0; i < copies; i++)
            if (offset == dmr_copy_offsets[i]) return "copy " + std::to_string(i);
        for (std::uint64_t page = 0; page < pages(); page++)
            for (const int copy : {0, 1})
                if (offset >= page_at(copy, page) && offset < page_at(copy, page) + page_size())
                    return (copy == 0 ? "first " : "second ") + std::to_string(page);
        return in_slots(offset) ? "slot" : "?";
    }
    // Writes and flushes since the last call of this.
    Words written() const {
        Words words;
        for (const Call& call : log->take()) {
            if (call.op == Op::flush) words.emplace_back("flush");
            if (call.op == Op::write) words.push_back(place(call.offset));
        }
        return words;
    }

    dmr_superblock copy(unsigned i) const {
        dmr_superblock sb;
        std::memcpy(&sb, spare->peek(dmr_copy_offsets[i], sizeof(sb)).data(), sizeof(sb));
        return sb;
    }
    void put_copy(unsigned i, dmr_superblock sb) {
        sb.crc = dmr_to_le32(dmr_superblock_crc(&sb, dmr_copy_offsets[i]));
        spare->poke(dmr_copy_offsets[i], &sb, sizeof(sb));
    }
    void garble(std::uint64_t offset, std::uint64_t length) {
        spare->poke(offset, pattern(99, length / kSector, 7).data(), length);
    }
    void garble_copy(unsigned i) { garble(dmr_copy_offsets[i], DMR_SUPERBLOCK_SIZE); }
    // Zeros, which are damage too.
    void wipe_entry(int copy, std::uint64_t slot) {
        spare->poke(entry_at(copy, slot), zeros(DMR_ENTRY_SIZE).data(), DMR_ENTRY_SIZE);
    }
    dmr_entry entry_of(int copy, std::uint64_t slot) const {
        dmr_entry entry;
        std::memcpy(&entry, spare->peek(entry_at(copy, slot), sizeof(entry)).data(), sizeof(entry));
        return entry;
    }
    void put_entry(int copy, std::uint64_t slot, dmr_entry entry) {
        entry.crc = dmr_to_le32(dmr_entry_crc(&entry, geometry.uuid, slot));
        spare->poke(entry_at(copy, slot), &entry, sizeof(entry));
    }
    // Calls of this op that begin at one of these places fail.
    void fail(Op op, const Words& places, int error = EIO) {
        spare->set_hook([this, op, places, error](const Call& call) {
            if (call.op != op) return Medium::kPass;
            const std::string where = op == Op::flush ? "flush" : place(call.offset);
            for (const std::string& bad : places)
                if (bad == where) return error;
            return Medium::kPass;
        });
    }
    // The n'th flush from now on fails.
    void fail_flush(unsigned n) {
        spare->set_hook([left = n](const Call& call) mutable {
            return call.op == Op::flush && --left == 0 ? EIO : Medium::kPass;
        });
    }
    void fail_nothing() { spare->set_hook(nullptr); }

    std::shared_ptr<Medium::Log> log = std::make_shared<Medium::Log>();
    dmr_superblock geometry{};
    unsigned copies = 0;
};

// Superblock store and entry table as an opener has them: the epoch raised, not clean.
struct OpenSpare {
    explicit OpenSpare(FormattedSpare& spare)
        : device(spare.spare->device()),
          store(*device, scan_superblocks(*device)),
          loaded(begin()),
          report(loaded.report),
          table(*device, store, std::move(loaded)) {
        spare.log->take();
    }

    CommitOutcome claim(std::uint64_t slot, std::uint64_t block, std::uint8_t lost = 0,
                        std::optional<std::uint64_t> replaces = std::nullopt) {
        const EntryChange change{.slot = slot,
                                 .state = DMR_REMAPPED,
                                 .main_block = block,
                                 .lost = lost,
                                 .retry = 0,
                                 .reason = DMR_REASON_WRITE,
                                 .replaces = replaces};
        return table.commit({&change, 1}).front();
    }
    CommitOutcome erase(std::uint64_t slot, std::uint8_t state = DMR_FREE) {
        const EntryChange change{.slot = slot, .state = state};
        return table.commit({&change, 1}).front();
    }

    std::unique_ptr<Device> device;
    SuperblockStore store;
    LoadedTable loaded;
    TableReport report;
    EntryTable table;

private:
    LoadedTable begin() {
        dmr_superblock next = store.current();
        next.entry_epoch = dmr_to_le64(dmr_le64(next.entry_epoch) + 1);
        next.flags = dmr_to_le32(dmr_le32(next.flags) & ~DMR_CLEAN);
        EXPECT_EQ(store.write(next, kSequenceSkip), 0);
        return load_table(*device, store.current());
    }
};

inline LoadedTable reload(const FormattedSpare& spare) {
    const auto device = spare.spare->device();
    const SuperblockScan scan = scan_superblocks(*device);
    EXPECT_TRUE(scan.current && scan.fatal.empty());
    return load_table(*device, *scan.current);
}

inline void expect_equal_copies(const FormattedSpare& spare, std::uint64_t page) {
    EXPECT_EQ(spare.spare->peek(spare.page_at(0, page), 4096),
              spare.spare->peek(spare.page_at(1, page), 4096));
}

}  // namespace dmremap::test
