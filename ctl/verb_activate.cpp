// SPDX-License-Identifier: GPL-2.0-or-later
// activate: presents a pair through the kernel target. All that mounting asks of a pair is asked
// here, for the target cannot know what user space does: identities, foreign content, whose mark it
// is. Then the pair is let go of and the table names the spare's UUID, so that the target refuses
// any other.
#include <sys/stat.h>

#include <boost/program_options/value_semantic.hpp>
#include <iomanip>
#include <sstream>
#include <utility>

#include "core/disk.h"
#include "core/format.h"
#include "core/meta/opening_checks.h"
#include "core/meta/superblock_store.h"
#include "core/pair/holder.h"
#include "core/pair/pair.h"
#include "core/pair/signature.h"
#include "core/refusal.h"
#include "ctl/mapped_device.h"
#include "ctl/table_line.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

void declare(OptionDeclarations& options) {
    options.add_options()("main", po::value<std::string>()->required()->value_name("MAIN"),
                          "the main, a block device");
    options.add_options()("spare", po::value<std::string>()->required()->value_name("SPARE"),
                          "its spare, a block device");
    options.add_options()("readonly", "write neither to main nor to the spare");
    options.add_options()("take-over",
                          "go on although the pair is marked as in use by another machine");
    options.add_options()("dry-run", "check the pair and print the table; load nothing");
}

struct Checked {
    std::string uuid;
    std::uint64_t sectors = 0;
    std::vector<std::string> notes;
};

// As mounting does, and without a write. The pair is ours alone meanwhile, and closed afterwards.
Checked check_pair(const std::string& main, const std::string& spare, bool read_only,
                   bool take_over) {
    PairOptions how;
    how.main_read_only = read_only;
    how.spare_read_only = read_only;
    DevicePair pair = open_pair(main, spare, how);
    Checked checked;
    for (const std::string& note : {pair.main->info().note, pair.spare->info().note})
        if (!note.empty()) checked.notes.push_back(note);
    OpenOptions open;
    open.read_only = true;
    open.take_over = take_over;
    open.overwritten = overwritten_sentence(*pair.spare);
    const dmr_superblock sb =
        require_superblock(scan_superblocks(*pair.spare), *pair.spare, pair.main.get());
    require_geometry(sb, *pair.main, *pair.spare, !read_only);
    const auto disk = Disk::open(std::move(pair.main), std::move(pair.spare), open);
    checked.uuid = disk->status().uuid;
    checked.sectors = disk->size() / DMR_SECTOR_SIZE;
    return checked;
}

std::string features(const Checked& checked, bool take_over) {
    std::ostringstream text;
    text << (take_over ? "3" : "2") << " uuid=" << checked.uuid << " machine=" << std::hex
         << std::setfill('0');
    for (const std::uint8_t byte : this_holder("").machine) text << std::setw(2) << unsigned{byte};
    if (take_over) text << " take_over";
    return text.str();
}

bool is_block_device(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 && S_ISBLK(facts.st_mode);
}

Answer run(const Arguments& arguments) {
    const std::string& name = arguments.operands().front();
    const std::string main = arguments.value("main"), spare = arguments.value("spare");
    const bool read_only = arguments.has("readonly"), dry_run = arguments.has("dry-run");
    const bool take_over = arguments.has("take-over");
    check_mapped_name(name);
    const Checked checked = check_pair(main, spare, read_only, take_over);
    const std::string table =
        table_line(checked.sectors, main, spare) + " " + features(checked, take_over);
    Answer answer;
    answer.notes = checked.notes;
    for (const std::string& path : {main, spare})
        if (!dry_run && !is_block_device(path))
            throw Refusal(RefusalKind::refused,
                          path +
                              " is an image file, which device-mapper does not take: attach it "
                              "with losetup and name the loop device");
    if (!dry_run)
        create_mapped_device(
            {name, checked.sectors, std::string(kTargetType), table_parameters(table), read_only});
    const std::string node = "/dev/mapper/" + name;
    answer.json = {
        {"name", name},           {"device", node},       {"main", main},
        {"spare", spare},         {"uuid", checked.uuid}, {"size_sectors", checked.sectors},
        {"read_only", read_only}, {"active", !dry_run},   {"table", table}};
    answer.text = dry_run ? table + "\n"
                          : printable(main + " with spare " + spare + " is up as " + node) + "\n";
    return answer;
}

}  // namespace

extern constinit const Verb activate_verb = {
    .name = "activate",
    .usage = "--main MAIN --spare SPARE [--readonly] [--take-over] [--dry-run] NAME",
    .help = "present the pair through the kernel target, as /dev/mapper/NAME",
    .operands_min = 1,
    .operands_max = 1,
    .declare = declare,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
