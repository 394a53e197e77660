// SPDX-License-Identifier: GPL-2.0-or-later
// scan: says how far the scan is, orders it, or waits for its end.

#include <chrono>
#include <optional>
#include <sstream>
#include <thread>

#include "core/format.h"
#include "ctl/control.h"
#include "ctl/number.h"
#include "ctl/progress.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(250);

// The words of control/rescan.
struct ScanLine {
    std::uint64_t done = 0, total = 0, rate = 0, found = 0;
    std::optional<std::uint64_t> eta;
    std::string state, waits_for;
};

ScanLine parse_scan_line(const std::string& text) {
    ScanLine line;
    std::istringstream words(text);
    char slash = 0;
    std::string eta;
    words >> line.done >> slash >> line.total >> line.rate >> eta >> line.found >> line.state;
    if (!words || slash != '/')
        throw Refusal(RefusalKind::system, "control/rescan says no progress: '" + text + "'");
    if (eta != "-") line.eta = parse_number(eta, "a number of seconds");
    if (std::string word; words >> word) {  // "for"
        std::getline(words >> std::ws, line.waits_for);
    }
    return line;
}

ScanLine look(const Control& control) { return parse_scan_line(control.read("rescan")); }

void wait_for_end(const Control& control, Answer& answer) {
    ScanLine line = look(control);
    Progress progress("scan", line.total * DMR_SECTOR_SIZE, line.done * DMR_SECTOR_SIZE);
    while (line.state == "running" || line.state == "waiting") {
        progress.show(line.done * DMR_SECTOR_SIZE);
        std::this_thread::sleep_for(kLookEvery);
        line = look(control);
    }
    if (line.state == "paused")
        answer.notes.push_back("the scan is paused; it goes on with resume");
}

std::string order_of(const Arguments& arguments) {
    const auto& operands = arguments.operands();
    const std::string& what = operands[1];
    if (what != "start" && what != "stop" && what != "pause" && what != "resume" && what != "wait")
        throw Refusal(RefusalKind::usage,
                      "'" + what +
                          "' is nothing to do with a scan; there are start, stop, pause, "
                          "resume and wait");
    if (operands.size() == 2) return what;
    if (what != "start" || operands.size() != 4)
        throw Refusal(RefusalKind::usage, "only start takes more words: SECTOR and COUNT");
    return what + " " + std::to_string(parse_number(operands[2], "a sector")) + " " +
           std::to_string(parse_number(operands[3], "a number of sectors"));
}

Answer run(const Arguments& arguments) {
    const std::string order = arguments.operands().size() > 1 ? order_of(arguments) : "";
    const Control control = find_control(arguments.operands().front());
    Answer answer;
    if (order == "wait") {
        wait_for_end(control, answer);
    } else if (!order.empty()) {
        const MessageAnswer reply = control.write("rescan", order);
        if (reply.error != 0) throw refusal_of(reply);
    }
    const ScanLine line = look(control);
    const auto stats = parse_name_values(control.read("stats"));
    const auto health = parse_name_values(control.read("health"));
    answer.json = {{"target", control.mount_point()},
                   {"state", line.state},
                   {"waits_for", line.waits_for},
                   {"done_sectors", line.done},
                   {"total_sectors", line.total},
                   {"bytes_per_second", line.rate},
                   {"eta_seconds", line.eta ? Json(*line.eta) : Json(nullptr)},
                   {"found_blocks", line.found},
                   {"found_ever_blocks", number_of(stats, "scan_found")},
                   {"weak_blocks", number_of(stats, "weak_blocks")},
                   {"passes", number_of(stats, "scan_passes")},
                   {"last_end_unix", number_of(health, "last_scan_unix")}};
    Fields fields;
    fields.add("scan", line.waits_for.empty() ? line.state
                                              : line.state + " for " + printable(line.waits_for));
    if (line.state != "idle") {
        fields.add("read", short_size(line.done * DMR_SECTOR_SIZE) + " of " +
                               short_size(line.total * DMR_SECTOR_SIZE));
        if (line.rate != 0) fields.add("rate", short_size(line.rate) + "/s");
        if (line.eta) fields.add("left", human_duration(*line.eta * 1000000000));
    }
    fields.add("bad blocks found", std::to_string(line.found) + " by this pass, " +
                                       std::to_string(number_of(stats, "scan_found")) + " ever");
    fields.add("weak blocks", std::to_string(number_of(stats, "weak_blocks")));
    fields.add("passes", std::to_string(number_of(stats, "scan_passes")));
    fields.add("last pass ended", human_time(number_of(health, "last_scan_unix")));
    answer.text = fields.str();
    return answer;
}

}  // namespace

extern constinit const Verb scan_verb = {
    .name = "scan",
    .usage = "TARGET [start [SECTOR COUNT]|stop|pause|resume|wait]",
    .help = "look for bad blocks, or say how far that is",
    .operands_min = 1,
    .operands_max = 4,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
