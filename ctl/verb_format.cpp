// SPDX-License-Identifier: GPL-2.0-or-later
// format: makes a spare for a main.
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cerrno>

#include "core/meta/examine.h"
#include "core/meta/format_spare.h"
#include "core/meta/uuid.h"
#include "core/pair/allocate_image.h"
#include "core/pair/pair.h"
#include "core/pair/signature.h"
#include "core/refusal.h"
#include "ctl/spare_report.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

void declare(OptionDeclarations& options) {
    options.add_options()("main", po::value<std::string>()->required()->value_name("MAIN"),
                          "the failing device or image; it is only read");
    options.add_options()("spare", po::value<std::string>()->required()->value_name("SPARE"),
                          "the device or image that takes the bad blocks over");
    options.add_options()("label", po::value<std::string>()->value_name("L"),
                          "a name for people, at most 63 bytes");
    options.add_options()("scan", "look for bad blocks on all of main as soon as it is mounted");
    options.add_options()("force", "go on although the spare holds something that is no spare");
    options.add_options()("destroy", po::value<std::string>()->value_name("UUID"),
                          "go on although the spare is, or holds, the live spare with this UUID");
    options.add_options()("take-over",
                          "destroy it although another machine's mark is on it; only when that one "
                          "has surely let go of it");
}

void refuse_missing_spare(const std::string& path) {
    struct stat facts {};
    if (stat(path.c_str(), &facts) == 0 || errno != ENOENT) return;
    // An image made there would be in memory, and gone with the next boot.
    if (path.compare(0, 5, "/dev/") == 0)
        throw Refusal(RefusalKind::not_found,
                      "there is no such device as the spare " + path + "; see lsblk");
    throw Refusal(RefusalKind::not_found, "there is no such file as the spare " + path +
                                              "; an image is made with: truncate -s 1G " +
                                              shell_quote(path));
}

// Allocating an image changes it, if only in what it takes up, so where format_spare() is going to
// refuse it must not happen first. A wrong "no" costs only that.
bool refusal_in_sight(Device& main, Device& spare, const FormatOptions& options) {
    if (examine_spare(main, false).has_superblock || !options.inside.empty()) return true;
    const SpareReport found = examine_spare(spare, false);
    if (found.has_superblock) {
        const auto named = parse_uuid(options.destroy_uuid);
        return !named || uuid_text(named->data()) != uuid_text(found.superblock.uuid) ||
               (!options.force && !options.foreign.empty());
    }
    if (options.force) return false;
    return !options.foreign.empty() ||
           std::any_of(found.copies.begin(), found.copies.end(),
                       [](const SuperblockCopy& copy) { return copy.verdict != DMR_NOT_OURS; });
}

bool in_memory(const FoundDevice& image) {
    struct statfs where {};
    return image.facts().kind == DeviceKind::image &&
           statfs(image.held_path().c_str(), &where) == 0 &&
           (where.f_type == TMPFS_MAGIC || where.f_type == RAMFS_MAGIC);
}

// In an option's value these stand behind a backslash.
std::string mount_command(const std::string& main, const std::string& spare) {
    std::string value;
    for (const char c : spare) {
        if (c == ',' || c == '\\' || c == '"') value += '\\';
        value += c;
    }
    return "mount.dmremapfs " + shell_quote(main) + " MOUNTPOINT -o " +
           shell_quote("spare=" + value);
}

Answer make_answer(const DevicePair& pair, const FormatResult& made, const std::string& label) {
    Answer answer;
    const std::string& main = pair.main->info().name;
    const std::string& spare = pair.spare->info().name;
    const std::string command = mount_command(main, spare);
    const std::uint64_t movable = made.slots * DMR_BLOCK_SIZE;
    answer.json = {{"uuid", made.uuid},
                   {"label", label},
                   {"main", main},
                   {"main_size_bytes", made.main_size},
                   {"spare", spare},
                   {"spare_size_bytes", made.spare_size},
                   {"slots", made.slots},
                   {"slot_bytes", DMR_BLOCK_SIZE},
                   {"superblock_copies", made.superblock_copies},
                   {"mount_command", command}};
    Fields fields;
    fields.heading("The spare is made");
    fields.add("uuid", made.uuid);
    if (!label.empty()) fields.add("label", label);
    fields.add("main", main + ", " + human_size(made.main_size));
    fields.add("spare", spare + ", " + human_size(made.spare_size));
    fields.add("slots", std::to_string(made.slots) + ": so many blocks of 4 KiB can be moved, " +
                            short_size(movable) + " of " + short_size(made.main_size));
    fields.add("superblock", std::to_string(made.superblock_copies) + " copies");
    answer.text = fields.str() + "\nNext, with a directory of yours for MOUNTPOINT:\n  " +
                  printable(command) + "\nand the disk is MOUNTPOINT/disk.img\n";
    for (const std::string& note : {pair.main->info().note, pair.spare->info().note})
        if (!note.empty()) answer.notes.push_back(note);
    return answer;
}

Answer run(const Arguments& arguments) {
    const std::string spare_path = arguments.value("spare");
    refuse_missing_spare(spare_path);
    PairOptions pair_options;
    pair_options.main_read_only = true;
    const DevicePair pair = open_pair(arguments.value("main"), spare_path, pair_options);

    FormatOptions options;
    options.label = arguments.value("label");
    require_label(options.label);
    options.force = arguments.has("force");
    options.scan = arguments.has("scan");
    options.destroy_uuid = arguments.value("destroy");
    options.take_over = arguments.has("take-over");
    options.foreign = foreign_content(*pair.found_spare);
    options.inside = spares_inside(*pair.spare, *pair.found_spare);
    std::string allocation_note;
    if (!refusal_in_sight(*pair.main, *pair.spare, options))
        allocation_note = allocate_image(*pair.found_spare);
    const FormatResult made = format_spare(*pair.main, *pair.spare, options);

    Answer answer = make_answer(pair, made, options.label);
    if (!allocation_note.empty()) answer.notes.push_back(allocation_note);
    if (in_memory(*pair.found_spare))
        answer.notes.push_back(spare_path +
                               " is in memory: what is moved there is gone with the next boot");
    return answer;
}

}  // namespace

extern constinit const Verb format_verb = {
    .name = "format",
    .usage =
        "--main MAIN --spare SPARE [--label L] [--scan] [--force] [--destroy UUID] "
        "[--take-over]",
    .help = "make a spare for a main; main is only read",
    .operands_min = 0,
    .operands_max = 0,
    .declare = declare,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
