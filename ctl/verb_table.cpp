// SPDX-License-Identifier: GPL-2.0-or-later
// table: the line that makes the kernel target present the same pair.
#include <boost/program_options/value_semantic.hpp>

#include "core/format.h"
#include "core/meta/examine.h"
#include "core/pair/pair.h"
#include "ctl/control.h"
#include "ctl/table_line.h"
#include "ctl/target.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

void declare(OptionDeclarations& options) {
    options.add_options()("main", po::value<std::string>()->value_name("MAIN"),
                          "of a spare that is not up: its main, which a spare knows no path of");
}

StatusLine of_spare(const std::string& path, const std::string& main) {
    if (main.empty())
        throw Refusal(RefusalKind::usage, path + " is a spare: name its main with --main MAIN");
    const auto spare = open_spare(path, true, PairOptions().lock_wait_seconds);
    const SpareReport report = examine_spare(*spare, false);
    if (!report.has_superblock)
        throw Refusal(RefusalKind::not_found,
                      "no such target: " + path + " has no valid dm-remap superblock");
    StatusLine line;
    line.sectors = dmr_le64(report.superblock.main_size) / DMR_SECTOR_SIZE;
    line.main = main;
    line.spare = path;
    return line;
}

Answer run(const Arguments& arguments) {
    const std::string main = arguments.value("main");
    const Target target = find_target(arguments.operands().front());
    const bool up = target.kind == Target::Kind::mount;
    if (up && !main.empty())
        throw Refusal(RefusalKind::usage, "--main is for a spare that is not up");
    const StatusLine line =
        up ? parse_status_line(Control(target.path).read("status")) : of_spare(target.path, main);
    Answer answer;
    const std::string text = table_line(line.sectors, line.main, line.spare);
    answer.json = {{"target", target.path},
                   {"size_sectors", line.sectors},
                   {"main", line.main},
                   {"spare", line.spare},
                   {"table", text}};
    answer.text = text + "\n";
    return answer;
}

}  // namespace

extern constinit const Verb table_verb = {
    .name = "table",
    .usage = "[--main MAIN] TARGET",
    .help = "print the device-mapper table line for the pair",
    .operands_min = 1,
    .operands_max = 1,
    .declare = declare,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
