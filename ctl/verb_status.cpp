// SPDX-License-Identifier: GPL-2.0-or-later
// status: how a disk is. Up, its control files are asked; offline, the spare's superblock.
#include <array>
#include <utility>

#include "core/format.h"
#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/meta/uuid.h"
#include "core/pair/pair.h"
#include "core/refusal.h"
#include "ctl/control.h"
#include "ctl/spare_report.h"
#include "ctl/target.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

// "name: text" lines of control/reasons.
std::vector<NameValue> parse_reasons(const std::string& text) {
    std::vector<NameValue> reasons = parse_name_values(text);
    for (auto& [name, words] : reasons)
        if (name.ends_with(":")) name.pop_back();
    return reasons;
}

Json mount_json(const std::string& point, const StatusLine& status, const Control& control,
                const std::vector<NameValue>& reasons) {
    Json json = {{"target", point},
                 {"kind", "mount"},
                 {"uuid", control.read("uuid")},
                 {"state", control.read("state")},
                 {"version", control.read("version")},
                 {"mode", status.mode},
                 {"main", status.main},
                 {"spare", status.spare},
                 {"size_sectors", status.sectors},
                 {"size_bytes", status.sectors * DMR_SECTOR_SIZE},
                 {"reads", status.reads},
                 {"writes", status.writes},
                 {"remaps", status.remaps},
                 {"errors", status.errors},
                 {"active_mappings", status.active_mappings},
                 {"io_ops", status.io_ops},
                 {"total_time_ns", status.total_time_ns}};
    json["reasons"] = Json::array();
    for (const auto& [name, text] : reasons)
        json["reasons"].push_back({{"name", name}, {"text", text}});
    json["stats"] = name_values_json(parse_name_values(control.read("stats")));
    return json;
}

void add_stat(Fields& fields, const Json& stats, const char* label, const char* name) {
    if (!stats.contains(name)) return;
    const Json& value = stats[name];
    fields.add(label, value.is_string() ? value.get<std::string>() : value.dump());
}

Answer mount_status(const std::string& point) {
    const Control control(point);
    const StatusLine status = parse_status_line(control.read("status"));
    const auto reasons = parse_reasons(control.read("reasons"));
    Answer answer;
    answer.json = mount_json(point, status, control, reasons);
    const Json& json = answer.json;

    Fields fields;
    fields.heading(printable(point));
    fields.add("state", json["state"].get<std::string>());
    for (const auto& [name, text] : reasons)
        fields.add("reason", std::string(name).append(": ").append(text));
    fields.add("uuid", json["uuid"].get<std::string>());
    fields.add("size", human_size(status.sectors * DMR_SECTOR_SIZE));
    fields.add("main", status.main);
    fields.add("spare", status.spare);
    fields.add("mode", status.mode);

    fields.heading("Blocks");
    fields.add("remapped", std::to_string(status.active_mappings));
    constexpr std::array<std::pair<const char*, const char*>, 6> counts = {{
        {"slots", "slots"},
        {"slots used", "slots_used"},
        {"slots bad", "slots_bad"},
        {"lost sectors", "lost_sectors"},
        {"retry sectors", "retry_sectors"},
        {"retired pages", "retired_pages"},
    }};
    for (const auto& [label, name] : counts) add_stat(fields, json["stats"], label, name);

    fields.heading("Since it was mounted");
    fields.add("reads", std::to_string(status.reads));
    fields.add("writes", std::to_string(status.writes));
    fields.add("blocks remapped", std::to_string(status.remaps));
    fields.add("device errors", std::to_string(status.errors));
    if (status.io_ops)
        fields.add("average time", std::to_string(status.total_time_ns / status.io_ops) +
                                       " ns from submission to completion");
    answer.text = fields.str();
    return answer;
}

Answer spare_status(const std::string& path) {
    const auto spare = open_spare(path, true, PairOptions().lock_wait_seconds);
    const SpareReport report = examine_spare(*spare, false);
    if (!report.has_superblock)
        throw Refusal(RefusalKind::not_found, "no such target: " + path +
                                                  " has no valid dm-remap superblock; see "
                                                  "dmremapctl examine");
    const dmr_superblock& sb = report.superblock;
    const std::uint32_t flags = dmr_le32(sb.flags);
    Answer answer;
    answer.json = {{"target", path}, {"kind", "spare"}, {"state", "offline"}};
    answer.json["superblock"] = to_json(sb);

    Fields fields;
    fields.heading(printable(path));
    fields.add("state", flags & DMR_CLEAN ? "offline, closed in order" : "offline, not closed");
    if (flags & DMR_IN_USE) {
        const HolderVerdict verdict = judge(recorded_holder(sb));
        fields.add("in-use mark", holder_text(sb, verdict));
        answer.json["superblock"]["holder"]["verdict"] = holder_verdict_name(verdict);
    }
    const std::string label = field_text(sb.label, sizeof(sb.label));
    fields.add("uuid", uuid_text(sb.uuid));
    if (!label.empty()) fields.add("label", label);
    fields.add("main", human_size(dmr_le64(sb.main_size)) + ", " +
                           identity_line(field_text(sb.main_text, sizeof(sb.main_text))));
    fields.add("slots", std::to_string(dmr_le64(sb.slots)));
    if (flags & DMR_CLEAN) fields.add("remapped", std::to_string(dmr_le64(sb.live_remaps)));
    fields.add("last change", human_time(dmr_le64(sb.written)));
    answer.text = fields.str();
    if (!spare->info().note.empty()) answer.notes.push_back(spare->info().note);
    return answer;
}

Answer run(const Arguments& arguments) {
    const Target target = find_target(arguments.operands().front());
    return target.kind == Target::Kind::mount ? mount_status(target.path)
                                              : spare_status(target.path);
}

}  // namespace

extern constinit const Verb status_verb = {
    .name = "status",
    .usage = "TARGET",
    .help = "say how a disk is: TARGET is a mount point or, offline, a spare",
    .operands_min = 1,
    .operands_max = 1,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
