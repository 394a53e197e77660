// SPDX-License-Identifier: GPL-2.0-or-later
// The JSON half of spare_report.h. Adding a key is fine; renaming or removing one is not.
#include <cstring>

#include "core/meta/opening_checks.h"
#include "core/meta/uuid.h"
#include "ctl/spare_report.h"
#include "ctl/text.h"

namespace dmremap::ctl {

namespace {

Json features_json(std::uint32_t compat, std::uint32_t ro_compat, std::uint32_t incompat) {
    return {{"compat", compat}, {"ro_compat", ro_compat}, {"incompat", incompat}};
}

Json identity_json(const std::uint8_t* digest, const std::uint8_t* text) {
    return {{"sha256", hex_text(digest, 32)}, {"text", field_text(text, DMR_IDENTITY_TEXT)}};
}

Json holder_json(const dmr_superblock& sb) {
    if (!(dmr_le32(sb.flags) & DMR_IN_USE)) return nullptr;
    return {{"name", field_text(sb.holder_name, sizeof(sb.holder_name))},
            {"pid", dmr_le64(sb.holder_pid)},
            {"start_ticks", dmr_le64(sb.holder_start)},
            {"since_unix", dmr_le64(sb.holder_since)},
            {"machine", hex_text(sb.holder_machine, sizeof(sb.holder_machine))},
            {"boot", hex_text(sb.holder_boot, sizeof(sb.holder_boot))}};
}

Json witness_json(const dmr_superblock& sb) {
    unsigned taken = 0;
    for (const auto& block : sb.witness) taken += dmr_le32(block.valid) == 1 ? 1 : 0;
    return {{"taken", (dmr_le32(sb.flags) & DMR_WITNESS) != 0}, {"blocks", taken}};
}

Json copy_json(const SuperblockCopy& copy) {
    return {{"offset_bytes", copy.offset},
            {"verdict", verdict_name(copy.verdict)},
            {"read_error", copy.read_error},
            {"sequence", copy.sequence},
            {"newest", copy.newest}};
}

}  // namespace

Json to_json(const dmr_superblock& sb) {
    Json json;
    json["uuid"] = uuid_text(sb.uuid);
    json["label"] = field_text(sb.label, sizeof(sb.label));
    json["version"] = dmr_le32(sb.version);
    json["features"] =
        features_json(dmr_le32(sb.compat), dmr_le32(sb.ro_compat), dmr_le32(sb.incompat));
    json["sequence"] = dmr_le64(sb.sequence);
    json["created_unix"] = dmr_le64(sb.created);
    json["written_unix"] = dmr_le64(sb.written);
    json["clean"] = (dmr_le32(sb.flags) & DMR_CLEAN) != 0;
    json["in_use"] = (dmr_le32(sb.flags) & DMR_IN_USE) != 0;
    json["holder"] = holder_json(sb);
    json["main"] = {{"size_bytes", dmr_le64(sb.main_size)},
                    {"logical_block_bytes", dmr_le32(sb.main_logical_block)},
                    {"identity", identity_json(sb.main_digest, sb.main_text)}};
    json["spare"] = {{"size_bytes", dmr_le64(sb.spare_size)},
                     {"logical_block_bytes", dmr_le32(sb.spare_logical_block)},
                     {"physical_block_bytes", dmr_le32(sb.spare_physical_block)},
                     {"identity", identity_json(sb.spare_digest, sb.spare_text)}};
    json["slots"] = dmr_le64(sb.slots);
    json["slot_bytes"] = DMR_BLOCK_SIZE;
    json["page_bytes"] = dmr_le32(sb.page_size);
    json["first_table_offset_bytes"] = dmr_page_offset(&sb, 0, 0);
    json["first_slot_offset_bytes"] = dmr_slot_offset(&sb, 0);
    json["second_table_offset_bytes"] = dmr_page_offset(&sb, 1, 0);
    json["table_ready"] = dmr_le64(sb.table_ready);
    json["live_remaps"] = dmr_le64(sb.live_remaps);
    json["entry_epoch"] = dmr_le64(sb.entry_epoch);
    json["witness"] = witness_json(sb);
    json["params"] = {{"read_retries", dmr_le32(sb.read_retries)},
                      {"remap_on_read_error", dmr_le32(sb.remap_on_read_error)},
                      {"lost_retry_minutes", dmr_le32(sb.lost_retry_minutes)},
                      {"breaker_regions", dmr_le32(sb.breaker_regions)},
                      {"background_scanning", dmr_le32(sb.background_scanning)},
                      {"scan_interval_hours", dmr_le32(sb.scan_interval_hours)},
                      {"scan_speed_max_kib", dmr_le32(sb.scan_speed_max)},
                      {"relocate_weak", dmr_le32(sb.relocate_weak)}};
    json["scan"] = {{"cursor_sector", dmr_le64(sb.scan_cursor) * DMR_SECTORS_PER_BLOCK},
                    {"pass_start_unix", dmr_le64(sb.scan_pass_start)},
                    {"pass_end_unix", dmr_le64(sb.scan_pass_end)},
                    {"passes", dmr_le64(sb.scan_passes)},
                    {"found", dmr_le64(sb.scan_found)}};
    return json;
}

Json to_json(const TableReport& table) {
    return {{"entries", table.entries},
            {"remapped", table.remapped},
            {"free", table.free},
            {"bad_slots", table.bad_slots},
            {"lost_sectors", table.lost_sectors},
            {"retry_sectors", table.retry_sectors},
            {"one_copy", table.one_copy},
            {"stale", table.stale},
            {"superseded", table.superseded},
            {"no_copy", table.no_copy},
            {"conflicts", table.conflicts},
            {"above_ready", table.above_ready}};
}

Json to_json(const SpareReport& report) {
    Json json;
    json["copies"] = Json::array();
    for (const auto& copy : report.copies) json["copies"].push_back(copy_json(copy));
    json["superblock"] = report.has_superblock ? to_json(report.superblock) : Json(nullptr);
    json["table"] = report.has_superblock ? to_json(report.table) : Json(nullptr);
    json["repairable"] = report.repairable;
    json["fatal"] = report.fatal;
    return json;
}

}  // namespace dmremap::ctl
