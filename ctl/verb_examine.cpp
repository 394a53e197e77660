// SPDX-License-Identifier: GPL-2.0-or-later
// examine: all that a spare says of itself, and whether it can be believed. Never writes.
#include "core/meta/examine.h"
#include "core/pair/pair.h"
#include "ctl/spare_report.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

Answer run(const Arguments& arguments) {
    const std::string& path = arguments.operands().front();
    const auto spare = open_spare(path, true, PairOptions().lock_wait_seconds);
    const SpareReport report = examine_spare(*spare, true);

    Answer answer;
    answer.json["spare"] = path;
    answer.json.update(to_json(report));
    std::string holder;
    if (report.has_superblock && (dmr_le32(report.superblock.flags) & DMR_IN_USE)) {
        const HolderVerdict verdict = judge(recorded_holder(report.superblock));
        holder = holder_text(report.superblock, verdict);
        answer.json["superblock"]["holder"]["verdict"] = holder_verdict_name(verdict);
    }
    answer.text = report_text(report, path, holder);
    if (!spare->info().note.empty()) answer.notes.push_back(spare->info().note);
    if (!report.has_superblock) {
        answer.exit_code = kRefused;
        answer.complaint = path +
                           " has no valid superblock copy, so it is no dm-remap spare or a " +
                           "destroyed one";
    }
    return answer;
}

}  // namespace

extern constinit const Verb examine_verb = {
    .name = "examine",
    .usage = "SPARE",
    .help = "print everything a spare that is not up says of itself",
    .operands_min = 1,
    .operands_max = 1,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
