// SPDX-License-Identifier: GPL-2.0-or-later
// Any superblock, at any copy, on a device of any size: judged by core/format.h and by a second
// reading of FORMAT.md, examined, printed, repaired as far as that goes, and written.
//
// Proves: what is believed is possible. No table page, slot or copy that a believed geometry leads
// to lies outside the spare or on another, however large the numbers; the judgement is the second
// reading's in both directions; every refusal is a Refusal and writes nothing; every text and JSON
// of it can be made; an update of what was believed is found again, newer, in every copy.
// Does not prove: anything about the table (fuzz_entry_table) or about data (fuzz_spare).
#include <cstring>

#include "core/device/device.h"
#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/meta/superblock_store.h"
#include "core/meta/witness.h"
#include "core/parameters.h"
#include "core/refusal.h"
#include "ctl/spare_report.h"
#include "tests/fuzz/base_pair.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/damage.h"
#include "tests/fuzz/spare_truth.h"
#include "tests/fuzz/target.h"

namespace dmremap::fuzz {

namespace {

// Nothing of the table lies on an edge, in a hole or behind the end.
void check_place(const dmr_superblock& sb, std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t size = dmr_le64(sb.spare_size);
    check(offset >= 1u << 20 && offset < size && length <= size - offset &&
              offset + length <= size - (1u << 20),
          "a page or slot lies on an edge of the spare");
    for (const std::uint64_t copy : dmr_copy_offsets)
        check(offset + length <= copy || offset >= copy + 65536,
              "a page or slot lies where a superblock copy may be");
}

void check_places(const dmr_superblock& sb, std::uint64_t any) {
    const std::uint64_t slots = dmr_le64(sb.slots), page_size = dmr_le32(sb.page_size);
    const std::uint64_t pages = (slots + page_size / 32 - 1) / (page_size / 32);
    for (const std::uint64_t slot : {std::uint64_t{0}, any % slots, slots - 1})
        check_place(sb, dmr_slot_offset(&sb, slot), 4096);
    for (const int copy : {0, 1})
        for (const std::uint64_t page : {std::uint64_t{0}, any % pages, pages - 1})
            check_place(sb, dmr_page_offset(&sb, copy, page), page_size);
    check(dmr_page_offset(&sb, 0, pages - 1) + page_size <= dmr_slot_offset(&sb, 0) &&
              dmr_slot_offset(&sb, slots - 1) + 4096 <= dmr_page_offset(&sb, 1, 0),
          "tables and slots meet");
    if (any % slots != 0)
        check(dmr_slot_offset(&sb, any % slots - 1) + 4096 <= dmr_slot_offset(&sb, any % slots),
              "two slots meet");
    const std::uint64_t blocks = dmr_main_blocks(&sb);
    check((blocks - 1) * 4096 < dmr_le64(sb.main_size) && dmr_block_sectors(&sb, blocks - 1) != 0,
          "main's last block");
}

void check_verdicts(const SparseImage& spare, std::uint64_t any) {
    for (unsigned copy = 0; copy < dmr_copies(spare.info().size); copy++) {
        dmr_superblock sb;
        spare.peek(dmr_copy_offsets[copy], &sb, sizeof(sb));
        const dmr_verdict verdict = dmr_superblock_verdict(&sb, dmr_copy_offsets[copy]);
        const std::string impossible = impossible_geometry(sb);
        if (verdict == DMR_OK) {
            check(impossible.empty(), "believed, but impossible: " + impossible);
            check_places(sb, any);
        }
        check(dmr_geometry_sane(&sb) == impossible.empty(), "geometry: " + impossible);
    }
}

void ask_everything(const dmr_superblock& believed, Device& main, const Device& spare) {
    const auto may_refuse = [](const auto& ask) {
        try {
            ask();
        } catch (const Refusal&) {
        }
    };
    dmr_superblock sb = believed;
    may_refuse([&] { require_geometry(sb, main, spare, true); });
    may_refuse([&] { require_identity(sb, main, spare, false); });
    may_refuse([&] { require_not_in_use(sb, spare, false, ""); });
    may_refuse([&] { require_sequences(sb, 0, spare); });
    check_witness(main, sb);
    check(load_parameters(sb).read_retries <= kReadRetriesMax, "read_retries is not bounded");
    for (const std::uint64_t block : witness_blocks(sb))
        check(block < dmr_main_blocks(&sb), "a witness block behind main's end");
}

void print(const SpareReport& report) {
    const std::string holder =
        report.has_superblock
            ? ctl::holder_text(report.superblock, judge(ctl::recorded_holder(report.superblock)))
            : "";
    check(!ctl::report_text(report, "SPARE", holder).empty(), "no report");
    ctl::to_json(report).dump(2, ' ', false, ctl::Json::error_handler_t::replace);
}

void rewrite(Device& spare) {
    const SuperblockScan scan = scan_superblocks(spare);
    SuperblockStore store(spare, scan);
    check(store.write(*scan.current) == 0 && store.bad_copies() == 0, "the update failed");
    const SuperblockScan again = scan_superblocks(spare);
    check(again.current && again.fatal.empty() &&
              dmr_le64(again.current->sequence) == dmr_le64(scan.current->sequence) + 1,
          "an update is not found again");
    for (const SuperblockCopy& copy : again.copies)
        check(copy.newest, "a copy does not hold the update");
}

}  // namespace

void one_input(Input& input) {
    const std::uint8_t start = input.byte();
    BasePair pair = base_pair(start, start / kPasts).copy();
    const std::uint64_t any = input.number(8);
    if ((start & 128) != 0) pair.spare->set_size(input.value() >> 1 & ~std::uint64_t{511});
    while (!input.empty()) damage_spare(input, *pair.spare, pair.geometry);

    check_verdicts(*pair.spare, any);
    const auto main = SparseImage::device(pair.main), spare = SparseImage::device(pair.spare);
    const SpareReport report = examine_spare(*spare, false);
    print(report);
    if (!report.has_superblock) return;
    ask_everything(report.superblock, *main, *spare);
    check(pair.spare->writes() == 0, "looking wrote to the spare");
    const SuperblockScan scan = scan_superblocks(*spare);
    try {
        require_superblock(scan, *spare, main.get());
        require_sequences(*scan.current, 0, *spare);
    } catch (const Refusal&) {
        return;
    }
    rewrite(*spare);
}

}  // namespace dmremap::fuzz
