// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/smart.h"

#include <sys/stat.h>

#include <array>
#include <chrono>

#include "ctl/output_of.h"

namespace dmremap::ctl {

namespace {

constexpr std::size_t kMost = 1 << 20;  // bytes; some KiB are usual
constexpr std::chrono::seconds kLongest{10};

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

// All facts are numbers but for `passed`; text would be somebody else's words on the user's
// terminal.
bool is_fact(const Json& value) { return value.is_boolean() || value.is_number_integer(); }

}  // namespace

Json smart_facts_of(const std::string& printed) {
    const Json all = Json::parse(printed, nullptr, false);
    Json facts = Json::object();
    if (!all.is_object()) return nullptr;
    for (const Fact& fact : kFacts) {
        const Json::json_pointer at(fact.pointer);
        if (all.contains(at) && is_fact(all[at])) facts[fact.name] = all[at];
    }
    const Json::json_pointer table("/ata_smart_attributes/table");
    if (all.contains(table) && all[table].is_array())
        for (const Json& row : all[table])
            for (const Attribute& attribute : kAttributes) {
                const Json::json_pointer raw("/raw/value");
                if (row.is_object() && row.value("id", Json()) == attribute.id &&
                    row.contains(raw) && is_fact(row[raw]))
                    facts[attribute.name] = row[raw];
            }
    return facts.empty() ? Json(nullptr) : facts;
}

Json smart_facts(const std::string& path) {
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0 || !S_ISBLK(facts.st_mode)) return nullptr;
    return smart_facts_of(
        output_of({"smartctl", "--json=c", "--health", "--attributes", "--info", "--", path}, kMost,
                  kLongest));
}

}  // namespace dmremap::ctl
