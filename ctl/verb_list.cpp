// SPDX-License-Identifier: GPL-2.0-or-later
// list: the disks that are up on this machine.
#include "core/format.h"
#include "core/refusal.h"
#include "ctl/control.h"
#include "ctl/mounts.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

// A disk whose control files cannot be read is still up: it is listed with what mountinfo says.
Json describe(const Mount& mount, std::vector<std::string>& notes) {
    Json disk = {{"mount_point", mount.point}, {"main", mount.main},
                 {"spare", nullptr},           {"uuid", nullptr},
                 {"state", nullptr},           {"size_bytes", nullptr}};
    try {
        const Control control(mount.point);
        const StatusLine status = parse_status_line(control.read("status"));
        disk["main"] = status.main;
        disk["spare"] = status.spare;
        disk["size_bytes"] = status.sectors * DMR_SECTOR_SIZE;
        disk["uuid"] = control.read("uuid");
        disk["state"] = control.read("state");
    } catch (const Refusal& refusal) {
        notes.emplace_back(refusal.what());
    }
    return disk;
}

std::string cell(const Json& value) {
    if (value.is_null()) return "?";
    return value.is_number() ? short_size(value.get<std::uint64_t>()) : value.get<std::string>();
}

Answer run(const Arguments&) {
    Answer answer;
    answer.json["disks"] = Json::array();
    Columns columns({"MOUNT POINT", "STATE", "SIZE", "UUID", "MAIN", "SPARE"});
    for (const Mount& mount : disks_up()) {
        const Json disk = describe(mount, answer.notes);
        columns.add({cell(disk["mount_point"]), cell(disk["state"]), cell(disk["size_bytes"]),
                     cell(disk["uuid"]), cell(disk["main"]), cell(disk["spare"])});
        answer.json["disks"].push_back(disk);
    }
    answer.text = answer.json["disks"].empty() ? "no disk is up\n" : columns.str();
    return answer;
}

}  // namespace

extern constinit const Verb list_verb = {
    .name = "list",
    .usage = "",
    .help = "list the disks that are up",
    .operands_min = 0,
    .operands_max = 0,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
