// SPDX-License-Identifier: GPL-2.0-or-later
// A small spare with a good superblock and any two copies of its entry table: loaded, repaired,
// used a little, and loaded again, next to a second reading of FORMAT.md.
//
// Proves: the newer valid copy wins and the newest claim; what is refused is refused by both
// readings; repairing keeps every live remap, is idempotent, leaves nothing to do but pages whose
// copies each lack something, and does not touch those; no slot is handed out that something lives
// in, and no block has two live slots, before and after commits on top of the damage.
// Does not prove: order of writes (the crash harness), nor anything about the slots' data.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/meta/entry_table.h"
#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/meta/superblock_store.h"
#include "core/meta/table_load.h"
#include "core/refusal.h"
#include "tests/fuzz/base_pair.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/damage.h"
#include "tests/fuzz/spare_truth.h"
#include "tests/fuzz/target.h"

namespace dmremap::fuzz {

namespace {

using LiveByBlock = std::map<std::uint64_t, Claim>;

LiveByBlock live_of(const EntryTable& table) {
    LiveByBlock live;
    std::set<std::uint64_t> slots;
    table.for_each_live([&](std::uint64_t slot, const dmr_entry& entry) {
        check(slots.insert(slot).second, "a slot is listed twice");
        const Claim claim{slot, dmr_le64(entry.sequence), entry.lost, entry.retry};
        check(live.emplace(dmr_le64(entry.main_block), claim).second, "a block has two live slots");
    });
    return live;
}

void check_same(const LiveByBlock& a, const LiveByBlock& b, const std::string& when) {
    check(a.size() == b.size(), when + ": the number of live remaps");
    for (const auto& [block, claim] : a) {
        const auto other = b.find(block);
        check(other != b.end(), when + ": a remap is missing");
        check(other->second.slot == claim.slot && other->second.sequence == claim.sequence &&
                  other->second.lost == claim.lost && other->second.retry == claim.retry,
              when + ": a remap differs");
    }
}

// Of one entry.
std::vector<std::byte> both_copies(const SparseImage& spare, const dmr_superblock& sb,
                                   std::uint64_t slot) {
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    std::vector<std::byte> bytes(2 * DMR_ENTRY_SIZE);
    for (const int copy : {0, 1})
        spare.peek(dmr_page_offset(&sb, copy, slot / per_page) + slot % per_page * DMR_ENTRY_SIZE,
                   bytes.data() + static_cast<std::uint64_t>(copy) * DMR_ENTRY_SIZE,
                   DMR_ENTRY_SIZE);
    return bytes;
}

// Some commits as the healer makes them: fresh claims, then the erasure of what they replaced.
void use(Input& input, EntryTable& table) {
    LiveByBlock live = live_of(table);
    for (unsigned n = input.byte() % 8; n != 0; n--) {
        const std::uint64_t block = input.byte();
        const auto slot = table.allocate();
        if (!slot) return;
        check(!table.live(*slot), "a live slot was handed out");
        EntryChange change{
            .slot = *slot, .state = DMR_REMAPPED, .main_block = block, .reason = DMR_REASON_WRITE};
        const auto old = live.find(block);
        if (old != live.end()) change.replaces = old->second.slot;
        check(table.commit({&change, 1}).front() == CommitOutcome::durable, "a commit failed");
        if (change.replaces && !table.retired(*change.replaces) && input.flag()) {
            const EntryChange erasure{.slot = *change.replaces};
            table.commit({&erasure, 1});
        }
        live = live_of(table);
        check(live[block].slot == *slot, "the newest claim does not count");
    }
}

}  // namespace

void one_input(Input& input) {
    const std::uint8_t start = input.byte();
    const BasePair pair = base_pair(start, start / kPasts).copy();
    for (unsigned n = input.byte() % 32; n != 0; n--)
        damage_table(input, *pair.spare, pair.geometry);

    const SpareTruth truth = truth_of(*pair.spare);
    const auto device = SparseImage::device(pair.spare);
    const SuperblockScan scan = scan_superblocks(*device);
    SuperblockStore store(*device, scan);
    LoadedTable loaded = load_table(*device, *scan.current);
    const std::vector<std::string> damage = table_damage(loaded.report);
    const bool damaged = !damage.empty();
    // Our reader also counts the remaps; the table's loader leaves that to the opener.
    const bool readable =
        truth.refused.empty() || truth.refused.find("number of") != std::string::npos;
    check(damaged != readable,
          "the readings differ: " + (damaged ? damage.front() : truth.refused));
    if (damaged) return;
    try {
        require_sequences(*scan.current, loaded.highest_sequence, *device);
    } catch (const Refusal&) {
        return;  // no sequence is left for the commits below
    }
    check(loaded.superseded == truth.outdated, "other claims are superseded");
    check(loaded.report.remapped == truth.live.size(), "another number of remaps");

    std::map<std::uint64_t, std::vector<std::byte>> untouchable;
    for (const std::uint64_t slot : truth.stuck)
        untouchable[slot] = both_copies(*pair.spare, *scan.current, slot);
    {
        EntryTable table(*device, store, std::move(loaded));
        check_same(truth.live, live_of(table), "loaded");
        std::uint64_t pages = 0, claims = 0;
        check(table.repair(pages, claims) == 0, "the repair failed");
        check((pages != 0) == truth.mendable,
              "repair rewrote pages that needed none, or left some");
        check_same(truth.live, live_of(table), "repaired");
        check(pair.spare->writes() == 0 || pages + claims != 0 || truth.half_mendable,
              "repair wrote and says nothing");
    }
    LoadedTable again = load_table(*device, *scan.current);
    check(table_damage(again.report).empty(), "damaged by its repair");
    EntryTable table(*device, store, std::move(again));
    check_same(truth.live, live_of(table), "loaded again");
    const std::uint64_t before = pair.spare->writes();
    std::uint64_t pages = 0, claims = 0;
    check(table.repair(pages, claims) == 0 && pages == 0 && claims == 0 &&
              pair.spare->writes() == before,
          "a second repair found something to do");

    use(input, table);
    check_same(live_of(table), truth_of(*pair.spare).live, "used");
    for (const auto& [slot, bytes] : untouchable)
        check(both_copies(*pair.spare, *scan.current, slot) == bytes,
              "a piece was rewritten whose copies each held something alone");
}

}  // namespace dmremap::fuzz
