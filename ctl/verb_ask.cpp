// SPDX-License-Identifier: GPL-2.0-or-later
// query, salvage, set, get: a message or a parameter, and its answer.
#include "core/format.h"
#include "ctl/control.h"
#include "ctl/number.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace dmremap::ctl {

namespace {

std::vector<NameValue> lines_of(const MessageAnswer& answer) {
    if (answer.error != 0) throw refusal_of(answer);
    return parse_name_values(answer.text);
}

// Of a mount that takes no message, for it is read-only: the list of remaps says the same.
std::vector<NameValue> look_up(const Control& control, std::uint64_t sector) {
    const std::uint64_t sectors = parse_status_line(control.read("status")).sectors;
    if (sector >= sectors)
        throw Refusal(RefusalKind::refused,
                      "the disk has " + std::to_string(sectors) + " sectors, from 0 on");
    std::vector<NameValue> lines = {{"sector", std::to_string(sector)}, {"place", "main"}};
    control.read_lines("remaps", [&](const std::string& line) {
        const auto remap = parse_remap_line(line);
        if (!remap || sector < remap->sector || sector - remap->sector >= DMR_SECTORS_PER_BLOCK)
            return;
        const std::uint64_t bit = sector - remap->sector;
        const auto flag = [bit](std::uint8_t mask) { return mask >> bit & 1 ? "1" : "0"; };
        lines = {{"sector", std::to_string(sector)},
                 {"place", "spare"},
                 {"spare_sector", std::to_string(remap->spare_sector + bit)},
                 {"slot", std::to_string(remap->slot)},
                 {"reason", remap->reason},
                 {"time", std::to_string(remap->time)},
                 {"lost", flag(remap->lost)},
                 {"retry", flag(remap->retry)}};
    });
    return lines;
}

Answer run_query(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const std::uint64_t sector = parse_number(arguments.operands()[1], "a sector");
    const auto lines = control.read_only()
                           ? look_up(control, sector)
                           : lines_of(control.ask("query " + std::to_string(sector)));
    Answer answer;
    answer.json["target"] = control.mount_point();
    Fields fields;
    for (const auto& [name, value] : lines) {
        if (name == "time") {
            const std::uint64_t time = number_of(lines, name);
            answer.json["time_unix"] = time;
            fields.add("changed", human_time(time));
        } else if (name == "lost" || name == "retry") {
            answer.json[name] = value == "1";
            fields.add(name, value == "1" ? "yes" : "no");
        } else {
            answer.json[name] = name_values_json({{name, value}})[name];
            if (name == "spare_sector")
                fields.add("sector of the spare", value);
            else
                fields.add(name == "advice" ? "what to do" : name, value);
        }
    }
    answer.text = fields.str();
    return answer;
}

Answer run_salvage(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const auto lines = lines_of(control.ask("salvage"));
    Answer answer;
    answer.json = name_values_json(lines);
    answer.json["target"] = control.mount_point();
    answer.text = plural(number_of(lines, "salvaged_sectors"), "sector") + " came back, " +
                  std::to_string(number_of(lines, "lost_sectors")) + " are lost, of which " +
                  std::to_string(number_of(lines, "retry_sectors")) + " will be tried again\n";
    return answer;
}

Json parameter_json(const std::string& value) {
    if (value == "Y" || value == "N") return value == "Y";
    return name_values_json({{"value", value}})["value"];
}

// A name with a slash would be another file.
std::string parameter_name(const Control& control, const std::string& name) {
    std::string known;
    for (const std::string& parameter : control.parameters()) {
        if (parameter == name) return name;
        known += " " + parameter;
    }
    throw Refusal(RefusalKind::usage, "there is no parameter '" + name + "'; there are" + known);
}

Answer run_get(const Arguments& arguments) {
    const auto& operands = arguments.operands();
    const Control control = find_control(operands.front());
    Answer answer;
    answer.json["target"] = control.mount_point();
    answer.json["parameters"] = Json::object();
    std::vector<std::string> names = control.parameters();
    if (operands.size() > 1) names = {parameter_name(control, operands[1])};
    Fields fields;
    for (const std::string& name : names) {
        const std::string value = control.read("params/" + name);
        answer.json["parameters"][name] = parameter_json(value);
        fields.add(name, value);
        answer.text = value + "\n";
    }
    if (operands.size() == 1) answer.text = fields.str();
    return answer;
}

Answer run_set(const Arguments& arguments) {
    const auto& operands = arguments.operands();
    const Control control = find_control(operands[0]);
    const std::string name = parameter_name(control, operands[1]);
    const std::string file = "params/" + name;
    // Of what cannot be changed, a message says why.
    const auto lines =
        lines_of(control.takes_writes(file) ? control.write(file, operands[2])
                                            : control.ask("set " + name + " " + operands[2]));
    Answer answer;
    answer.json = {{"target", control.mount_point()}, {"parameters", Json::object()}};
    for (const auto& [parameter, value] : lines) {
        answer.json["parameters"][parameter] = parameter_json(value);
        answer.text += parameter + " is " + value + "\n";
    }
    return answer;
}

}  // namespace

extern constinit const Verb query_verb = {
    .name = "query",
    .usage = "TARGET SECTOR",
    .help = "say where a sector is, and why",
    .operands_min = 2,
    .operands_max = 2,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run_query,
};

extern constinit const Verb salvage_verb = {
    .name = "salvage",
    .usage = "TARGET",
    .help = "try all lost sectors that main may still have again",
    .operands_min = 1,
    .operands_max = 1,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run_salvage,
};

extern constinit const Verb get_verb = {
    .name = "get",
    .usage = "TARGET [PARAM]",
    .help = "print parameters",
    .operands_min = 1,
    .operands_max = 2,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run_get,
};

extern constinit const Verb set_verb = {
    .name = "set",
    .usage = "TARGET PARAM VALUE",
    .help = "change a parameter while the disk is up",
    .operands_min = 3,
    .operands_max = 3,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run_set,
};

}  // namespace dmremap::ctl
