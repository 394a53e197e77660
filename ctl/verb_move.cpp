// SPDX-License-Identifier: GPL-2.0-or-later
// remap, unmap: blocks moved by hand. A long range goes out in pieces that take about a second
// each, so that it can be watched and interrupted; the disk does it in bounded memory.
#include <algorithm>
#include <cerrno>
#include <chrono>

#include "core/format.h"
#include "ctl/control.h"
#include "ctl/interruption.h"
#include "ctl/number.h"
#include "ctl/progress.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

constexpr std::uint64_t kFirstPiece = 16ull << 11;  // sectors
constexpr std::uint64_t kLeastPiece = 1ull << 11;
constexpr std::uint64_t kMostPiece = 64ull << 11;

struct Range {
    std::uint64_t sector, count;
};

Range parse_range(const Arguments& arguments, std::uint64_t disk_sectors) {
    const auto& operands = arguments.operands();
    const std::uint64_t sector = parse_number(operands[1], "a sector");
    const std::uint64_t count =
        operands.size() > 2 ? parse_number(operands[2], "a number of sectors") : 1;
    if (count == 0) throw Refusal(RefusalKind::usage, "0 sectors are nothing to move");
    if (sector >= disk_sectors || count > disk_sectors - sector)
        throw Refusal(RefusalKind::refused, "the disk has " + std::to_string(disk_sectors) +
                                                " sectors, and the range is not within them");
    return {sector, count};
}

struct Moved {
    std::uint64_t changed = 0, unchanged = 0, refused = 0;
    Json first_refused = nullptr;
    MessageAnswer failure;  // the first
};

void add(Moved& sum, const MessageAnswer& answer) {
    const auto lines = parse_name_values(answer.text);
    sum.changed += number_of(lines, "changed_blocks");
    sum.unchanged += number_of(lines, "unchanged_blocks");
    sum.refused += number_of(lines, "refused_blocks");
    if (answer.error == 0 || sum.failure.error != 0) return;
    sum.failure = answer;
    if (number_of(lines, "refused_blocks") != 0)
        sum.first_refused = number_of(lines, "first_refused_sector");
}

Moved move(const Control& control, const std::string& verb, Range range, bool force) {
    using Clock = std::chrono::steady_clock;
    const Interruption interruption;
    Moved moved;
    Progress progress(verb, range.count * DMR_SECTOR_SIZE);
    std::uint64_t piece = kFirstPiece, done = 0;
    while (done < range.count) {
        // Pieces end where regions do: no block and no flush is in two of them.
        const std::uint64_t at = range.sector + done;
        const std::uint64_t end = std::min((at / piece + 1) * piece, range.sector + range.count);
        const auto start = Clock::now();
        const MessageAnswer answer =
            control.ask(verb + " " + std::to_string(at) + " " + std::to_string(end - at) +
                        (force ? " force" : ""));
        add(moved, answer);
        // Refused blocks are no reason to stop; what concerns all of them is.
        if (answer.error != 0 && parse_name_values(answer.text).empty()) break;
        if (answer.error == EROFS || answer.error == ENODEV || answer.error == ENOSPC) break;
        if (answer.error == ECANCELED) break;
        done = end - range.sector;
        if (interruption.wanted() && done < range.count) {
            moved.failure = {ECANCELED, "", "interrupted before sector " + std::to_string(end)};
            break;
        }
        progress.show(done * DMR_SECTOR_SIZE);
        const auto took = Clock::now() - start;
        if (took < std::chrono::milliseconds(250)) piece = std::min(piece * 2, kMostPiece);
        if (took > std::chrono::seconds(1)) piece = std::max(piece / 2, kLeastPiece);
    }
    return moved;
}

Answer run(const std::string& verb, const Arguments& arguments, bool force) {
    const Control control = find_control(arguments.operands().front());
    const Range range = parse_range(arguments, parse_status_line(control.read("status")).sectors);
    const Moved moved = move(control, verb, range, force);
    if (moved.failure.error != 0 && moved.changed + moved.unchanged + moved.refused == 0)
        throw refusal_of(moved.failure);
    Answer answer;
    answer.json = {{"target", control.mount_point()},
                   {"sector", range.sector},
                   {"count_sectors", range.count},
                   {"changed_blocks", moved.changed},
                   {"unchanged_blocks", moved.unchanged},
                   {"refused_blocks", moved.refused},
                   {"first_refused_sector", moved.first_refused}};
    answer.text = plural(moved.changed, "block") + " " +
                  (verb == "remap" ? "remapped" : "brought back to main") + ", " +
                  std::to_string(moved.unchanged) + " were so already, " +
                  std::to_string(moved.refused) + " refused\n";
    if (moved.failure.error != 0) {
        answer.complaint_kind = refusal_of(moved.failure).kind();
        answer.exit_code = exit_code(ExitCodes::usual, answer.complaint_kind);
        answer.complaint = moved.failure.sentence;
    }
    return answer;
}

void declare_unmap(OptionDeclarations& options) {
    options.add_options()("force",
                          "also blocks with lost sectors, if main may still have all of these");
}

}  // namespace

extern constinit const Verb remap_verb = {
    .name = "remap",
    .usage = "TARGET SECTOR [COUNT]",
    .help = "move the blocks of these sectors to the spare",
    .operands_min = 2,
    .operands_max = 3,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = [](const Arguments& arguments) { return run("remap", arguments, false); },
};

extern constinit const Verb unmap_verb = {
    .name = "unmap",
    .usage = "[--force] TARGET SECTOR [COUNT]",
    .help = "move blocks back to main, where main takes them",
    .operands_min = 2,
    .operands_max = 3,
    .declare = declare_unmap,
    .exit_codes = ExitCodes::usual,
    .run =
        [](const Arguments& arguments) { return run("unmap", arguments, arguments.has("force")); },
};

}  // namespace dmremap::ctl
