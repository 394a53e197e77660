// SPDX-License-Identifier: GPL-2.0-or-later
// rebind: tells a spare that its main, or it itself, now goes by another identity.
#include <boost/program_options/value_semantic.hpp>

#include "core/meta/examine.h"
#include "core/meta/rebind.h"
#include "core/pair/pair.h"
#include "core/pair/signature.h"
#include "core/refusal.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

void declare(OptionDeclarations& options) {
    options.add_options()("main", po::value<std::string>()->required()->value_name("MAIN"),
                          "the main as it is known now; it is only read");
    options.add_options()("force",
                          "go on although the witness cannot prove that it is the same data, or "
                          "although the spare itself is another device, as a copy of it is");
    options.add_options()(
        "take-over",
        "go on although another machine's mark is on the spare; only when that one "
        "has surely let go of it");
}

std::string what_differed(const std::string& main, const std::string& spare,
                          const Rebound& rebound) {
    std::string text;
    if (!rebound.main.empty()) text = "main " + main + ": " + rebound.main;
    if (!rebound.spare.empty())
        text += (text.empty() ? "spare " : "; spare ") + spare + ": " + rebound.spare;
    return text;
}

Answer run(const Arguments& arguments) {
    const std::string main = arguments.value("main");
    const std::string& spare = arguments.operands().front();
    PairOptions options;
    options.main_read_only = true;
    const DevicePair pair = open_pair(main, spare, options);
    const std::string overwritten = overwritten_sentence(*pair.spare);
    if (!overwritten.empty() && examine_spare(*pair.spare, false).has_superblock)
        throw Refusal(RefusalKind::refused, overwritten);
    RebindOptions how;
    how.force = arguments.has("force");
    how.take_over = arguments.has("take-over");
    const Rebound rebound = rebind_spare(*pair.main, *pair.spare, how);
    const std::string difference = what_differed(main, spare, rebound);

    Answer answer;
    answer.json = {{"main", main},
                   {"spare", spare},
                   {"changed", !difference.empty()},
                   {"difference", difference}};
    answer.text = difference.empty()
                      ? spare + " knows " + main + " already as it is; nothing was changed"
                      : "accepted, and recorded in " + spare + ": " + difference;
    answer.text = printable(answer.text) + "\n";
    for (const std::string& note : {pair.main->info().note, pair.spare->info().note})
        if (!note.empty()) answer.notes.push_back(note);
    return answer;
}

}  // namespace

extern constinit const Verb rebind_verb = {
    .name = "rebind",
    .usage = "--main MAIN [--force] [--take-over] SPARE",
    .help = "accept a main or a spare whose identity changed",
    .operands_min = 1,
    .operands_max = 1,
    .declare = declare,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
