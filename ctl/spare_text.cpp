// SPDX-License-Identifier: GPL-2.0-or-later
// The half of spare_report.h that is for people.
#include <algorithm>
#include <cstring>
#include <sstream>

#include "core/meta/opening_checks.h"
#include "core/meta/uuid.h"
#include "ctl/spare_report.h"
#include "ctl/text.h"

namespace dmremap::ctl {

namespace {

std::string copies_text(const SpareReport& report) {
    Columns columns({"offset", "verdict", "sequence", ""});
    for (const auto& copy : report.copies) {
        const bool whole = copy.read_error == 0 && copy.verdict == DMR_OK;
        columns.add({human_size(copy.offset),
                     copy.read_error ? std::string("unreadable: ") + std::strerror(copy.read_error)
                                     : verdict_name(copy.verdict),
                     whole ? std::to_string(copy.sequence) : "-", copy.newest ? "counts" : ""});
    }
    return "Superblock copies\n" + columns.str("  ");
}

std::string features_text(const dmr_superblock& sb) {
    std::ostringstream text;
    text << std::hex << "compat 0x" << dmr_le32(sb.compat) << ", ro_compat 0x"
         << dmr_le32(sb.ro_compat) << ", incompat 0x" << dmr_le32(sb.incompat);
    return text.str();
}

std::string witness_text(const dmr_superblock& sb) {
    if (!(dmr_le32(sb.flags) & DMR_WITNESS)) return "none (taken when the disk is closed in order)";
    const auto taken =
        std::count_if(std::begin(sb.witness), std::end(sb.witness),
                      [](const dmr_witness& block) { return dmr_le32(block.valid) == 1; });
    return plural(static_cast<std::uint64_t>(taken), "block") + " of main";
}

void add_device(Fields& fields, const char* heading, std::uint64_t size, std::uint32_t logical,
                const std::uint8_t* identity) {
    fields.heading(heading);
    fields.add("size", human_size(size));
    fields.add("logical block", human_size(logical));
    fields.add("identity", identity_line(field_text(identity, DMR_IDENTITY_TEXT)));
}

void add_superblock(Fields& fields, const dmr_superblock& sb, const std::string& holder) {
    const std::uint32_t flags = dmr_le32(sb.flags);
    const std::string label = field_text(sb.label, sizeof(sb.label));
    fields.add("uuid", uuid_text(sb.uuid));
    fields.add("label", label.empty() ? "none" : label);
    fields.add("format", "version " + std::to_string(dmr_le32(sb.version)));
    fields.add("features", features_text(sb));
    fields.add("created", human_time(dmr_le64(sb.created)));
    fields.add("superblock written", human_time(dmr_le64(sb.written)) + ", update " +
                                         std::to_string(dmr_le64(sb.sequence)));
    fields.add("clean mark", flags & DMR_CLEAN ? "set: closed in order" : "not set");
    fields.add("in-use mark", flags & DMR_IN_USE ? holder : "not set");
    fields.add("witness", witness_text(sb));

    add_device(fields, "Main", dmr_le64(sb.main_size), dmr_le32(sb.main_logical_block),
               sb.main_text);
    add_device(fields, "Spare", dmr_le64(sb.spare_size), dmr_le32(sb.spare_logical_block),
               sb.spare_text);
    fields.add("physical block", human_size(dmr_le32(sb.spare_physical_block)));
    fields.add("slots", std::to_string(dmr_le64(sb.slots)) + " of 4 KiB, the first at " +
                            human_size(dmr_slot_offset(&sb, 0)));
    fields.add("first table", "at " + human_size(dmr_page_offset(&sb, 0, 0)));
    fields.add("second table", "at " + human_size(dmr_page_offset(&sb, 1, 0)));
    fields.add("page", human_size(dmr_le32(sb.page_size)));

    fields.heading("Scan");
    fields.add("passes", std::to_string(dmr_le64(sb.scan_passes)));
    fields.add("last pass began", human_time(dmr_le64(sb.scan_pass_start)));
    fields.add("last pass ended", human_time(dmr_le64(sb.scan_pass_end)));
    fields.add("bad blocks found", std::to_string(dmr_le64(sb.scan_found)));
}

void add_table(Fields& fields, const TableReport& table, std::uint64_t slots) {
    const auto add = [&fields](const char* label, std::uint64_t count) {
        fields.add(label, std::to_string(count));
    };
    const auto add_if_any = [&add](const char* label, std::uint64_t count) {
        if (count) add(label, count);
    };
    fields.heading("Entry table");
    fields.add("entries", std::to_string(table.entries) + " exist, of " + std::to_string(slots));
    add("remapped", table.remapped);
    add("free", table.free);
    add("bad slots", table.bad_slots);
    add("lost sectors", table.lost_sectors);
    add("retry sectors", table.retry_sectors);
    add_if_any("with one good copy", table.one_copy);
    add_if_any("with a stale copy", table.stale);
    add_if_any("superseded claims", table.superseded);
    add_if_any("with no good copy", table.no_copy);
    add_if_any("contradictions", table.conflicts);
    add_if_any("above table_ready", table.above_ready);
}

}  // namespace

std::string identity_line(const std::string& canonical) {
    std::string line;
    std::istringstream facts(canonical);
    for (std::string fact; std::getline(facts, fact);) line += (line.empty() ? "" : ", ") + fact;
    return line;
}

Holder recorded_holder(const dmr_superblock& sb) {
    Holder holder;
    std::copy(std::begin(sb.holder_machine), std::end(sb.holder_machine), holder.machine.begin());
    std::copy(std::begin(sb.holder_boot), std::end(sb.holder_boot), holder.boot.begin());
    holder.pid = dmr_le64(sb.holder_pid);
    holder.start = dmr_le64(sb.holder_start);
    holder.name = field_text(sb.holder_name, sizeof(sb.holder_name));
    return holder;
}

const char* holder_verdict_name(HolderVerdict verdict) {
    switch (verdict) {
        case HolderVerdict::ours:
            return "ours";
        case HolderVerdict::earlier_boot:
            return "earlier_boot";
        case HolderVerdict::dead:
            return "dead";
        case HolderVerdict::alive:
            return "alive";
        case HolderVerdict::other_machine:
            break;
    }
    return "other_machine";
}

std::string holder_text(const dmr_superblock& sb, HolderVerdict verdict) {
    const Holder holder = recorded_holder(sb);
    std::string who = "held by '" + holder.name + "', process " + std::to_string(holder.pid) +
                      ", since " + human_time(dmr_le64(sb.holder_since));
    switch (verdict) {
        case HolderVerdict::ours:
            return who + ": this process";
        case HolderVerdict::earlier_boot:
            return who + ", before this machine was last started: recovers by itself";
        case HolderVerdict::dead:
            return who + ", which is no more: recovers by itself";
        case HolderVerdict::alive:
            return who + ", which is alive";
        case HolderVerdict::other_machine:
            break;
    }
    return who + " on another machine: refused until that one has closed it";
}

std::string report_text(const SpareReport& report, const std::string& name,
                        const std::string& holder) {
    Fields fields;
    fields.heading(printable(name));
    if (report.has_superblock) {
        add_superblock(fields, report.superblock, holder);
        add_table(fields, report.table, dmr_le64(report.superblock.slots));
    } else {
        fields.add("superblock", "no valid copy");
    }
    std::string text = fields.str() + "\n" + copies_text(report);
    if (report.repairable.empty() && report.fatal.empty()) return text;
    text += "\nFindings\n";
    for (const auto& sentence : report.repairable)
        text += "  repairable: " + printable(sentence) + "\n";
    for (const auto& sentence : report.fatal) text += "  fatal: " + printable(sentence) + "\n";
    return text;
}

}  // namespace dmremap::ctl
