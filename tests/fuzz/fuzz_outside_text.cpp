// SPDX-License-Identifier: GPL-2.0-or-later
// Texts that other programs and the kernel write and we read: the status line and the name-value
// files, mountinfo, sysfs values and uevents, identities, UUIDs; and what makes such bytes fit for
// a terminal. The first byte chooses.
//
// Proves: nothing in such a text does harm; what we or the kernel wrote by the rules comes back as
// it was; what is printed holds nothing that a terminal would obey.
// Does not prove: that the kernel keeps to those rules.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/device/kernel_text.h"
#include "core/meta/uuid.h"
#include "core/pair/identity.h"
#include "core/refusal.h"
#include "core/status_line.h"
#include "ctl/control.h"
#include "ctl/mounts.h"
#include "ctl/text.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/target.h"

namespace dmremap::fuzz {

namespace {

std::string without_nul(std::string text, const char* otherwise) {
    text.erase(std::remove(text.begin(), text.end(), '\0'), text.end());
    return text.empty() ? otherwise : text;
}

void status_line_of_anything(Input& input) {
    try {
        ctl::parse_status_line(input.rest());
    } catch (const Refusal& refusal) {
        check(refusal.kind() == RefusalKind::system, "the kind of a refusal");
    }
}

void status_line_of_ours(Input& input) {
    DiskStatus status;
    status.size = input.number(8) / 512 * 512;
    for (const Op op : {Op::read, Op::write, Op::zero})
        status.totals.op[static_cast<unsigned>(op)].completed = input.number(4);
    status.totals.remaps = input.number(8);
    status.active_mappings = input.number(8);
    status.main = without_nul(input.text(input.byte()), "M");
    status.spare = without_nul(input.rest(), "S");
    const ctl::StatusLine line = ctl::parse_status_line(status_line(status, input.flag()));
    check(line.main == status.main && line.spare == status.spare &&
              line.sectors == status.size / 512 && line.remaps == status.totals.remaps &&
              line.active_mappings == status.active_mappings &&
              line.io_ops == line.reads + line.writes,
          "our status line came back otherwise");
}

void name_values(Input& input) {
    const auto lines = ctl::parse_name_values(input.rest());
    check(!ctl::name_values_json(lines)
               .dump(-1, ' ', false, ctl::Json::error_handler_t::replace)
               .empty(),
          "no JSON");
}

// As the kernel writes a name into its tables.
std::string escaped(const std::string& name) {
    std::string text;
    for (const char c : name) {
        switch (c) {
            case ' ':
                text += "\\040";
                break;
            case '\t':
                text += "\\011";
                break;
            case '\n':
                text += "\\012";
                break;
            case '\\':
                text += "\\134";
                break;
            default:
                text += c;
        }
    }
    return text;
}

void mountinfo_of_anything(Input& input) {
    std::istringstream text(input.rest());
    ctl::parse_mountinfo(text);
}

void mountinfo_of_the_kernel(Input& input) {
    const std::string point = "/" + without_nul(input.text(input.byte()), "");
    const std::string main = without_nul(input.rest(), "M");
    std::istringstream text("36 35 0:42 / " + escaped(point) +
                            " rw,nosuid shared:1 master:2 - fuse.dmremapfs " + escaped(main) +
                            " rw,user_id=0\n");
    const auto mounts = ctl::parse_mountinfo(text);
    check(mounts.size() == 1 && mounts[0].point == point && mounts[0].main == main,
          "a mount is not recognised");
}

// A scratch folder stands for one in sysfs.
void kernel_files(Input& input) {
    struct Folder {
        std::string path = std::filesystem::temp_directory_path() / "dmremap-fuzz-XXXXXX";
        Folder() { check(::mkdtemp(path.data()) != nullptr, "no scratch folder"); }
        ~Folder() { std::filesystem::remove_all(path); }
    };
    static const Folder folder;
    const std::string key = without_nul(input.text(input.byte() % 16), "DEVNAME");
    const std::string text = input.rest();
    std::ofstream(folder.path + "/uevent", std::ios::binary) << text;
    const auto read = read_text(folder.path + "/uevent");
    check(read && text.compare(0, read->size(), *read) == 0, "a file reads as something else");
    read_number(folder.path + "/uevent");
    const auto value = uevent_value(folder.path, key);
    check(!value || text.find(key + "=" + *value) != std::string::npos, "a value out of thin air");
}

void identities(Input& input) {
    const std::string recorded = input.text(input.byte()), found = input.rest();
    const Comparison comparison = compare_identity(recorded, Identity{found, {}});
    check(comparison.match != Match::same || comparison.difference.empty(), "same, but differs");
    check(std::all_of(comparison.difference.begin(), comparison.difference.end(),
                      [](char c) { return c >= ' ' && c <= '~'; }),
          "a difference that a terminal would obey");
}

void uuids(Input& input) {
    const auto uuid = parse_uuid(input.rest());
    if (!uuid) return;
    check(parse_uuid(uuid_text(uuid->data())) == uuid, "a UUID came back otherwise");
}

void printed(Input& input) {
    const std::uint64_t number = input.value();
    check(!ctl::human_size(number).empty() && !ctl::human_time(number).empty(), "no words");
    const std::string bytes = input.rest();
    const std::string text = ctl::printable(bytes);
    check(std::none_of(text.begin(), text.end(),
                       [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }),
          "not printable");
    check(unescape_octal(escaped(bytes)) == bytes, "an escaped name came back otherwise");
    unescape_octal(bytes);
    ctl::shell_quote(bytes);
}

}  // namespace

void one_input(Input& input) {
    switch (input.byte() % 9) {
        case 0:
            return status_line_of_anything(input);
        case 1:
            return status_line_of_ours(input);
        case 2:
            return name_values(input);
        case 3:
            return mountinfo_of_anything(input);
        case 4:
            return mountinfo_of_the_kernel(input);
        case 5:
            return kernel_files(input);
        case 6:
            return identities(input);
        case 7:
            return uuids(input);
        default:
            return printed(input);
    }
}

}  // namespace dmremap::fuzz
