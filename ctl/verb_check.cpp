// SPDX-License-Identifier: GPL-2.0-or-later
// check: is the metadata of a spare whole? Writes only with --repair; exit codes as fsck.
#include <algorithm>

#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/pair/pair.h"
#include "core/pair/signature.h"
#include "core/refusal.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

void declare(OptionDeclarations& options) {
    options.add_options()("repair", "repair what has a good copy left");
}

// Not damage but nothing that could be checked: no copy is ours, or all that are belong to a
// version or features this program does not know.
bool beyond_judgement(const SpareReport& report) {
    return !report.has_superblock &&
           std::none_of(report.copies.begin(), report.copies.end(), [](const auto& copy) {
               return copy.read_error || copy.verdict == DMR_BAD_CRC ||
                      copy.verdict == DMR_BAD_GEOMETRY;
           });
}

void refuse_if_beyond_judgement(const SpareReport& report, const std::string& path) {
    if (!beyond_judgement(report)) return;
    std::string why;
    for (const auto& sentence : report.fatal) why += (why.empty() ? ": " : "; ") + sentence;
    throw Refusal(RefusalKind::refused, path + " cannot be checked as a dm-remap spare" + why);
}

struct Findings {
    std::vector<std::string> repairable, fatal, repaired;
};

struct Verdict {
    const char* word;  // stable: "verdict" of JSON
    int exit_code;
    std::string sentence;
};

// `rescue`: a rescue opens it all the same.
Verdict judge_findings(const Findings& findings, bool rescue) {
    if (!findings.fatal.empty())
        return {"damaged", kFsckUncorrected,
                std::string("damaged, and not to be repaired from here") +
                    (rescue ? "; `mount.dmremapfs -o ro,rescue` reads what is left" : "")};
    if (!findings.repairable.empty())
        return {"repairable", kFsckUncorrected,
                "damaged, but a good copy of everything is left; check --repair repairs it, and so "
                "does the next mount"};
    if (!findings.repaired.empty()) return {"repaired", kFsckRepaired, "repaired, now clean"};
    return {"clean", kFsckClean, "clean"};
}

std::string summary(const SpareReport& report) {
    if (!report.has_table) return "";
    return std::string(report.table.no_copy == 0 ? ", " : ", at least ") +
           std::to_string(report.table.remapped) + " of " +
           plural(dmr_le64(report.superblock.slots), "slot") + " in use";
}

Answer make_answer(const std::string& path, const Findings& findings, const SpareReport& report) {
    const Verdict verdict = judge_findings(findings, report.has_table);
    Answer answer;
    answer.exit_code = verdict.exit_code;
    answer.json = {{"spare", path},
                   {"verdict", verdict.word},
                   {"repairable", findings.repairable},
                   {"fatal", findings.fatal},
                   {"repaired", findings.repaired}};
    const auto print = [&answer](const char* kind, const std::vector<std::string>& sentences) {
        for (const auto& sentence : sentences)
            answer.text += std::string(kind) + ": " + printable(sentence) + "\n";
    };
    print("repairable", findings.repairable);
    print("fatal", findings.fatal);
    print("repaired", findings.repaired);
    answer.text += printable(path) + ": " + verdict.sentence + summary(report) + "\n";
    return answer;
}

// No damage, but a mount asks for it, too.
void note_what_else_is_refused(const SpareReport& report, const Device& spare, Answer& answer) {
    if (!report.has_superblock) return;
    const auto note = [&answer](const auto& require) {
        try {
            require();
        } catch (const Refusal& refusal) {
            answer.notes.push_back(std::string("as it is, it cannot be mounted: ") +
                                   refusal.what());
        }
    };
    dmr_superblock sb = report.superblock;
    note([&] { require_spare_identity(sb, spare); });
    note([&] { require_not_in_use(sb, spare, false, "mount it with -o take_over"); });
}

Answer run(const Arguments& arguments) {
    const std::string& path = arguments.operands().front();
    const bool repair = arguments.has("repair");
    const auto spare = open_spare(path, !repair, PairOptions().lock_wait_seconds);
    SpareReport report = examine_spare(*spare, true);
    refuse_if_beyond_judgement(report, path);
    const std::string overwritten = overwritten_sentence(*spare);
    if (!overwritten.empty()) report.fatal.push_back(overwritten);
    Findings findings;
    if (repair && report.fatal.empty() && !report.repairable.empty()) {
        findings.repaired = repair_spare(*spare);
        report = examine_spare(*spare, true);  // what was repaired is believed when it is seen
    }
    findings.repairable = report.repairable;
    findings.fatal = report.fatal;
    Answer answer = make_answer(path, findings, report);
    note_what_else_is_refused(report, *spare, answer);
    if (!spare->info().note.empty()) answer.notes.push_back(spare->info().note);
    return answer;
}

}  // namespace

extern constinit const Verb check_verb = {
    .name = "check",
    .usage = "[--repair] SPARE",
    .help = "check the metadata of a spare that is not up; exit codes as fsck",
    .operands_min = 1,
    .operands_max = 1,
    .declare = declare,
    .exit_codes = ExitCodes::fsck,
    .run = run,
};

}  // namespace dmremap::ctl
