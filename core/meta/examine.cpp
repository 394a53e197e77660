// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/examine.h"

#include <cstring>

#include "core/meta/entry_table.h"
#include "core/meta/opening_checks.h"
#include "core/meta/superblock_store.h"
#include "core/meta/table_load.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

std::string number(std::uint64_t n, const char* one, const char* many) {
    return std::to_string(n) + " " + (n == 1 ? one : many);
}

void judge_copies(SpareReport& report) {
    std::uint64_t bad = 0;
    for (const SuperblockCopy& copy : report.copies) {
        bad += copy.newest ? 0 : 1;
    }
    if (bad != 0) {
        report.repairable.push_back(number(bad, "superblock copy is", "superblock copies are") +
                                    " damaged or stale");
    }
}

void judge_table(SpareReport& report) {
    const TableReport& t = report.table;
    if (t.one_copy != 0) {
        report.repairable.push_back(number(t.one_copy, "entry has", "entries have") +
                                    " only one good copy");
    }
    if (t.stale != 0) {
        report.repairable.push_back(number(t.stale, "entry has", "entries have") + " a stale copy");
    }
    if (t.superseded != 0) {
        report.repairable.push_back(number(t.superseded, "claim is", "claims are") +
                                    " superseded by a newer one");
    }
    report.fatal = table_damage(t);
    const std::uint32_t flags = dmr_le32(report.superblock.flags);
    if ((flags & DMR_CLEAN) != 0 && report.fatal.empty() &&
        dmr_le64(report.superblock.live_remaps) != t.remapped) {
        report.fatal.push_back("closed clean with " +
                               std::to_string(dmr_le64(report.superblock.live_remaps)) +
                               " remaps, but the table holds " + std::to_string(t.remapped));
    }
}

}  // namespace

const char* verdict_name(dmr_verdict verdict) {
    switch (verdict) {
        case DMR_OK:
            return "ok";
        case DMR_NOT_OURS:
            return "not a superblock";
        case DMR_BAD_CRC:
            return "bad checksum";
        case DMR_BAD_VERSION:
            return "unknown version";
        case DMR_BAD_FEATURES:
            return "unknown features";
        case DMR_BAD_GEOMETRY:
            return "impossible geometry";
    }
    return "?";  // GCOVR_EXCL_LINE: the verdicts are those above
}

std::vector<std::string> table_damage(const TableReport& t) {
    std::vector<std::string> fatal;
    if (t.no_copy != 0) {
        fatal.push_back(number(t.no_copy, "entry has", "entries have") +
                        " no good copy: any block of main may have lived there");
    }
    if (t.conflicts != 0) {
        fatal.push_back(number(t.conflicts, "entry contradicts", "entries contradict") +
                        " another of the same sequence");
    }
    if (t.above_ready != 0) {
        fatal.push_back("used entries lie above the end of the table: the superblock is stale");
    }
    return fatal;
}

SpareReport examine_spare(Device& spare, bool with_table) {
    SpareReport report;
    const SuperblockScan scan = scan_superblocks(spare);
    require_answers(scan, spare);
    report.copies = scan.copies;
    if (!scan.current) {
        report.fatal.push_back("no superblock copy is whole");
        return report;
    }
    report.has_superblock = true;
    report.superblock = *scan.current;
    judge_copies(report);
    if (!scan.fatal.empty()) {
        report.fatal.push_back(scan.fatal);
        return report;
    }
    try {
        require_spare_geometry(report.superblock, spare, false);
    } catch (const Refusal& refusal) {
        report.fatal.push_back(refusal.what());
        return report;
    }
    if (with_table) {
        report.table = load_table(spare, report.superblock).report;
        report.has_table = true;
        judge_table(report);
    }
    return report;
}

std::vector<std::string> repair_spare(Device& spare) {
    const SuperblockScan scan = scan_superblocks(spare);
    dmr_superblock sb = require_superblock(scan, spare, nullptr);
    require_spare_geometry(sb, spare, true);
    require_spare_identity(sb, spare);
    require_not_in_use(sb, spare, false, "mount it with -o take_over");
    const SpareReport before = examine_spare(spare, true);
    if (!before.fatal.empty()) {
        throw Refusal(RefusalKind::refused, spare.info().name + ": " + before.fatal.front() +
                                                "; this cannot be repaired; rescue what is there "
                                                "with -o ro,rescue");
    }
    if (before.repairable.empty()) {
        return {};
    }
    // As an opener does it: the epoch first, then the table; the witness and the clean mark stay,
    // for neither the data nor the mapping changes.
    const std::uint64_t highest = load_table(spare, sb).highest_sequence;
    require_sequences(sb, highest, spare);
    SuperblockStore store(spare, scan);
    sb.entry_epoch = dmr_to_le64(dmr_next_epoch(&sb, highest));
    const auto failed = [&](int error) {
        return Refusal(
            RefusalKind::system,
            spare.info().name + " cannot be repaired, writing fails: " + std::strerror(error));
    };
    if (const int error = store.write(sb, store.opening_skip()); error != 0) {
        throw failed(error);
    }
    EntryTable table(spare, store, load_table(spare, store.current()));
    std::uint64_t pages = 0, claims = 0;
    if (const int error = table.repair(pages, claims); error != 0) {
        throw failed(error);
    }
    std::vector<std::string> done{store.bad_copies() == 0
                                      ? "superblock: all copies written anew"
                                      : "superblock: some copies cannot be written"};
    if (pages != 0) {
        done.push_back("entry table: " + number(pages, "page", "pages") +
                       " restored to two copies");
    }
    if (claims != 0) {
        done.push_back("entry table: " + number(claims, "superseded claim", "superseded claims") +
                       " erased");
    }
    return done;
}

}  // namespace dmremap
