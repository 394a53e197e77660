// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/program.h"

#include <algorithm>
#include <exception>
#include <iomanip>

#include "core/refusal.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

void print_help(std::ostream& out) {
    std::size_t width = 0;
    for (const Verb* verb : all_verbs()) width = std::max(width, verb->name.size());
    out << "Usage: dmremapctl VERB [options] [arguments]\n"
           "Makes, looks at and looks after dm-remap disks.\n\nVerbs:\n";
    for (const Verb* verb : all_verbs())
        out << "  " << std::left << std::setw(static_cast<int>(width) + 2) << verb->name
            << verb->help << "\n";
    out << "\n"
           "dmremapctl VERB --help says more about one, dmremapctl(8) all.\n"
           "dmremapctl --version prints the version. With --json every verb prints one object.\n"
           "Exit: 0 done or already so, 1 refused, 2 usage, 3 no such target, 4 busy; `check` as\n"
           "fsck: 0 clean, 1 repaired, 4 damage left, 8 could not be checked, 16 usage.\n";
}

void print_verb_help(const Verb& verb, std::ostream& out) {
    out << "Usage: dmremapctl " << verb.name << " [--json]";
    if (!verb.usage.empty()) out << " " << verb.usage;
    out << "\n" << verb.help << "\n\n" << verb_options(verb);
}

// Bytes that are not UTF-8 (a label, a path) must not keep the rest from being printed.
void print_json(const Json& json, std::ostream& out) {
    out << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

Json error_json(RefusalKind kind, const std::string& message) {
    return {{"kind", refusal_kind_name(kind)}, {"message", message}};
}

void complain(const std::string& sentence, std::ostream& err) {
    err << "dmremapctl: " << printable(sentence) << "\n";
}

// An answer nobody got is not an answer: a full disk behind `> report` must not look like success.
int finish(int code, ExitCodes codes, std::ostream& out, std::ostream& err) {
    out.flush();
    if (out) return code;
    complain("the answer could not be written to the standard output", err);
    return exit_code(codes, RefusalKind::system);
}

int print_answer(const Verb& verb, Answer answer, bool json, std::ostream& out, std::ostream& err) {
    for (const auto& note : answer.notes) complain("note: " + note, err);
    if (json) {
        if (!answer.notes.empty()) answer.json["notes"] = answer.notes;
        if (!answer.complaint.empty())
            answer.json["error"] = error_json(answer.complaint_kind, answer.complaint);
        print_json(answer.json, out);
    } else {
        out << answer.text;
    }
    if (!answer.complaint.empty()) {
        out.flush();  // the text first, then why it ends badly
        complain(answer.complaint, err);
    }
    return finish(answer.exit_code, verb.exit_codes, out, err);
}

int refuse(ExitCodes codes, RefusalKind kind, const std::string& sentence, bool json,
           std::ostream& out, std::ostream& err) {
    complain(sentence, err);
    if (json) print_json({{"error", error_json(kind, sentence)}}, out);
    return finish(exit_code(codes, kind), codes, out, err);
}

}  // namespace

int run_program(const std::vector<std::string>& words, std::ostream& out, std::ostream& err) {
    const bool json = mentions(words, "--json");
    ExitCodes codes = ExitCodes::usual;
    try {
        if (words.empty()) {
            print_help(err);
            return kUsage;
        }
        const std::string& first = words.front();
        if (first == "--help" || first == "-h") {
            print_help(out);
            return finish(kDone, codes, out, err);
        }
        if (first == "--version") {
            out << "dmremapctl " DMREMAP_PROGRAM_VERSION "\n";
            return finish(kDone, codes, out, err);
        }
        const Verb* verb = find_verb(first);
        if (!verb)
            throw Refusal(
                RefusalKind::usage,
                first.starts_with("-")
                    ? "the verb comes first, before '" + first + "'; see dmremapctl --help"
                    : "there is no verb '" + first + "'; see dmremapctl --help");
        codes = verb->exit_codes;
        const std::vector<std::string> rest(words.begin() + 1, words.end());
        if (mentions(rest, "--help") || mentions(rest, "-h")) {
            print_verb_help(*verb, out);
            return finish(kDone, codes, out, err);
        }
        return print_answer(*verb, verb->run(Arguments::parse(*verb, rest)), json, out, err);
    } catch (const Refusal& refusal) {
        return refuse(codes, refusal.kind(), refusal.what(), json, out, err);
    } catch (const std::exception& error) {
        return refuse(codes, RefusalKind::system, error.what(), json, out, err);
    }
}

}  // namespace dmremap::ctl
