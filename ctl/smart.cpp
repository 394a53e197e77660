// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/smart.h"

#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <memory>

#include "ctl/text.h"

namespace dmremap::ctl {

namespace {

struct Fact {
    const char* pointer;  // into what smartctl prints
    const char* name;
};
constexpr std::array kFacts = {
    Fact{"/smart_status/passed", "passed"},
    Fact{"/power_on_time/hours", "power_on_hours"},
    Fact{"/temperature/current", "temperature_celsius"},
    Fact{"/nvme_smart_health_information_log/media_errors", "media_errors"},
    Fact{"/nvme_smart_health_information_log/percentage_used", "percentage_used"},
    Fact{"/scsi_grown_defect_list", "grown_defects"},
};

// Attributes of ATA drives that speak of sectors.
struct Attribute {
    int id;
    const char* name;
};
constexpr std::array kAttributes = {
    Attribute{5, "reallocated_sectors"}, Attribute{197, "pending_sectors"},
    Attribute{198, "uncorrectable_sectors"}, Attribute{199, "cable_errors"}};

}  // namespace

Json smart_facts_of(const std::string& printed) {
    const Json all = Json::parse(printed, nullptr, false);
    Json facts = Json::object();
    if (!all.is_object()) return nullptr;
    for (const Fact& fact : kFacts) {
        const Json::json_pointer at(fact.pointer);
        if (all.contains(at) && all[at].is_primitive()) facts[fact.name] = all[at];
    }
    const Json::json_pointer table("/ata_smart_attributes/table");
    if (all.contains(table) && all[table].is_array())
        for (const Json& row : all[table])
            for (const Attribute& attribute : kAttributes) {
                const Json::json_pointer raw("/raw/value");
                if (row.is_object() && row.value("id", Json()) == attribute.id &&
                    row.contains(raw) && row[raw].is_number())
                    facts[attribute.name] = row[raw];
            }
    return facts.empty() ? Json(nullptr) : facts;
}

Json smart_facts(const std::string& path) {
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0 || !S_ISBLK(facts.st_mode)) return nullptr;
    const std::string command = "timeout 10 smartctl --json=c --health --attributes --info -- " +
                                shell_quote(path) + " 2>/dev/null";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "re"), pclose);
    if (!pipe) return nullptr;
    std::string printed;
    std::array<char, 4096> buffer{};
    for (std::size_t got = 0; (got = fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;)
        printed.append(buffer.data(), got);
    return smart_facts_of(printed);
}

}  // namespace dmremap::ctl
