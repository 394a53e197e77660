// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/table_load.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <thread>

#include "core/meta/metadata_read.h"
#include "core/meta/page_io.h"
#include "core/meta/table_step.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kPagesAtOnce = 1024;
constexpr std::uint64_t kPagesPerThread = 256;

// One page's two copies against each other; `truth` receives what counts.
struct PageJudge {
    const dmr_superblock& sb;
    std::uint64_t no_copy = 0, conflicts = 0, one_copy = 0, stale = 0;
    bool first_lacks = false, second_lacks = false;

    void judge(std::uint64_t slot, const dmr_entry& first, const dmr_entry& second,
               dmr_entry& truth) {
        const bool first_ok = dmr_entry_valid(&sb, &first, slot);
        // Equal bytes are equally valid, and checksums are most of what opening a large table
        // costs.
        const bool second_ok = std::memcmp(&first, &second, sizeof(first)) == 0
                                   ? first_ok
                                   : dmr_entry_valid(&sb, &second, slot);
        switch (dmr_entry_pick(&first, first_ok, &second, second_ok)) {
            case DMR_PICK_SAME:
                truth = first;
                return;
            case DMR_PICK_FIRST:
                truth = first;
                second_lacks = true;
                break;
            case DMR_PICK_SECOND:
                truth = second;
                first_lacks = true;
                break;
            case DMR_PICK_NONE:
                no_copy++;
                truth = initial_entry(sb, slot);
                first_lacks = second_lacks = true;
                return;
            case DMR_PICK_CONFLICT:
                conflicts++;
                truth = first;
                first_lacks = second_lacks = true;
                return;
        }
        (first_ok && second_ok ? stale : one_copy)++;
    }

    PageHealth health() const {
        if (first_lacks) {
            return second_lacks ? PageHealth::mixed : PageHealth::second_is_good;
        }
        return second_lacks ? PageHealth::first_is_good : PageHealth::good;
    }
};

void judge_pages(const dmr_superblock& sb, std::uint64_t first_page, std::uint64_t count,
                 const std::vector<dmr_entry>& first, const std::vector<dmr_entry>& second,
                 LoadedTable& table) {
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    std::vector<PageJudge> judges(count, PageJudge{sb});
    const auto judge = [&](std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t page = begin; page < end; page++) {
            for (std::uint64_t i = page * per_page; i < (page + 1) * per_page; i++) {
                const std::uint64_t slot = first_page * per_page + i;
                if (slot < table.entries.size()) {
                    judges[page].judge(slot, first[i], second[i], table.entries[slot]);
                }
            }
        }
    };
    // Checksums of a large table are worth all processors; each thread judges pages of its own.
    const std::uint64_t threads =
        count < kPagesPerThread ? 1 : std::max(1u, std::thread::hardware_concurrency());
    const std::uint64_t share = (count + threads - 1) / threads;
    {
        std::vector<std::jthread> others;
        for (std::uint64_t begin = share; begin < count; begin += share) {
            others.emplace_back(judge, begin, std::min(begin + share, count));
        }
        judge(0, std::min(share, count));
    }
    for (std::uint64_t page = 0; page < count; page++) {
        table.pages[first_page + page] = judges[page].health();
        table.report.no_copy += judges[page].no_copy;
        table.report.conflicts += judges[page].conflicts;
        table.report.one_copy += judges[page].one_copy;
        table.report.stale += judges[page].stale;
    }
}

// Finds the blocks that more than one slot claims.
void settle_claims(LoadedTable& table) {
    std::vector<std::uint64_t> claims;
    for (std::uint64_t slot = 0; slot < table.entries.size(); slot++) {
        if (table.entries[slot].state == DMR_REMAPPED) {
            claims.push_back(slot);
        }
    }
    const auto block = [&](std::uint64_t slot) { return dmr_le64(table.entries[slot].main_block); };
    std::sort(claims.begin(), claims.end(), [&](std::uint64_t a, std::uint64_t b) {
        if (block(a) != block(b)) {
            return block(a) < block(b);
        }
        return dmr_claim_wins(&table.entries[a], &table.entries[b]);
    });
    for (std::size_t i = 1; i < claims.size(); i++) {
        if (block(claims[i]) != block(claims[i - 1])) {
            continue;
        }
        if (table.entries[claims[i]].sequence == table.entries[claims[i - 1]].sequence) {
            table.report.conflicts++;
        }
        table.superseded.push_back(claims[i]);
    }
    std::sort(table.superseded.begin(), table.superseded.end());
}

void count(LoadedTable& table) {
    TableReport& report = table.report;
    report.superseded = table.superseded.size();
    std::size_t next_superseded = 0;
    for (std::uint64_t slot = 0; slot < table.entries.size(); slot++) {
        const dmr_entry& entry = table.entries[slot];
        table.highest_sequence =
            std::max<std::uint64_t>(table.highest_sequence, dmr_le64(entry.sequence));
        if (next_superseded < table.superseded.size() &&
            table.superseded[next_superseded] == slot) {
            next_superseded++;
            continue;
        }
        if (entry.state == DMR_REMAPPED) {
            report.remapped++;
            report.lost_sectors += static_cast<unsigned>(std::popcount(entry.lost));
            report.retry_sectors += static_cast<unsigned>(std::popcount(entry.retry));
        } else if (entry.state == DMR_BAD_SLOT) {
            report.bad_slots++;
        } else {
            report.free++;
        }
    }
}

}  // namespace

LoadedTable load_table(Device& spare, const dmr_superblock& sb) {
    LoadedTable table;
    const std::uint64_t ready = dmr_le64(sb.table_ready);
    const std::uint64_t pages = pages_for(sb, ready);
    try {
        table.entries.resize(ready);
        table.pages.resize(pages, PageHealth::good);
    } catch (const std::exception&) {  // bad_alloc or length_error
        throw Refusal(RefusalKind::system, spare.info().name + ": not enough memory for " +
                                               std::to_string(ready) + " entries of its table");
    }
    table.report.entries = ready;
    const auto must_read = [&spare](int error) {
        if (error != 0) {
            refuse_unread(spare, "a page of its entry table", error);
        }
    };
    std::vector<dmr_entry> first, second;
    for (std::uint64_t page = 0; page < pages; page += kPagesAtOnce) {
        const std::uint64_t n = std::min(kPagesAtOnce, pages - page);
        must_read(read_pages(spare, sb, 0, page, n, first));
        must_read(read_pages(spare, sb, 1, page, n, second));
        judge_pages(sb, page, n, first, second, table);
    }
    settle_claims(table);
    count(table);
    const std::uint64_t beyond =
        std::min(next_table_step(sb, ready), pages_for(sb, dmr_le64(sb.slots)));
    bool used = false;
    must_read(used_entry_in_pages(spare, sb, pages, beyond - pages, used));
    if (used) {
        table.report.above_ready = 1;
    }
    return table;
}

int used_entry_in_pages(Device& spare, const dmr_superblock& sb, std::uint64_t first,
                        std::uint64_t count, bool& used) {
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    std::vector<dmr_entry> entries;
    for (const int copy : {0, 1}) {
        if (const int error = read_pages(spare, sb, copy, first, count, entries); error != 0) {
            return error;
        }
        for (std::uint64_t i = 0; i < entries.size(); i++) {
            if (entries[i].sequence != 0 &&
                dmr_entry_valid(&sb, &entries[i], first * per_page + i)) {
                used = true;
                return 0;
            }
        }
    }
    return 0;
}

}  // namespace dmremap
