// SPDX-License-Identifier: GPL-2.0-or-later
// stats, health, metrics, events: what a disk that is up counts and reports.
#include <algorithm>
#include <boost/program_options/value_semantic.hpp>

#include "ctl/control.h"
#include "ctl/number.h"
#include "ctl/replace_file.h"
#include "ctl/smart.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

std::string with_unit(const std::string& name, const std::string& value) {
    const std::uint64_t number = number_of({{name, value}}, name);
    if (name.ends_with("_ns")) return human_duration(number);
    if (name.ends_with("_bytes")) return human_size(number);
    return value;
}

Answer run_stats(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const auto lines = parse_name_values(control.read("stats"));
    Answer answer;
    answer.json = {{"target", control.mount_point()}, {"stats", name_values_json(lines)}};
    Fields fields;
    for (const auto& [name, value] : lines) fields.add(name, with_unit(name, value));
    answer.text = fields.str();
    return answer;
}

Answer run_health(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const auto lines = parse_name_values(control.read("health"));
    Answer answer;
    answer.json["target"] = control.mount_point();
    Fields fields;
    answer.json["because"] = Json::array();
    for (const auto& [name, value] : lines) {
        if (name == "because")
            answer.json["because"].push_back(value);
        else if (name != "causes")
            answer.json[name] = name_values_json({{name, value}})[name];
        std::string label = name;
        std::replace(label.begin(), label.end(), '_', ' ');
        if (name == "last_scan_unix")
            fields.add("last scan", human_time(parse_number(value, "a time")));
        else
            fields.add(label, value);
    }
    answer.json["reasons"] = Json::array();
    for (auto& [name, text] : parse_name_values(control.read("reasons"))) {
        answer.json["reasons"].push_back(
            {{"name", name.substr(0, name.size() - 1)}, {"text", text}});
        fields.add("reason", std::string(name).append(" ").append(text));
    }
    const std::string main = parse_status_line(control.read("status")).main;
    answer.json["smart"] = smart_facts(main);
    if (!answer.json["smart"].is_null()) {
        fields.heading("What main says of itself (SMART)");
        for (const auto& [name, value] : answer.json["smart"].items())
            fields.add(name, value.dump());
    }
    answer.text = fields.str();
    return answer;
}

void declare_metrics(OptionDeclarations& options) {
    options.add_options()("output", po::value<std::string>()->value_name("FILE"),
                          "replace FILE at once, as node_exporter's textfile collector wants it");
}

Answer run_metrics(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const std::string metrics = control.read("metrics") + "\n";
    const std::string output = arguments.value("output");
    if (!output.empty()) replace_file(output, metrics);
    Answer answer;
    answer.json = {{"target", control.mount_point()},
                   {"output", output.empty() ? Json(nullptr) : Json(output)}};
    if (output.empty()) {
        answer.json["metrics"] = metrics;
        answer.text = metrics;
    }
    return answer;
}

Answer run_events(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    Answer answer;
    answer.json = {{"target", control.mount_point()}, {"events", Json::array()}};
    Columns columns({"TIME", "KIND", "SECTOR", "BLOCKS", "COUNT", "TEXT"});
    const auto cell = [](const Json& event, const char* name) {
        if (!event.contains(name)) return std::string("-");
        return event[name].is_string() ? event[name].get<std::string>() : event[name].dump();
    };
    control.read_lines("events", [&](const std::string& line) {
        const Json event = Json::parse(line, nullptr, false);
        if (event.is_discarded()) return;
        columns.add({human_time(event.value("time_unix", std::uint64_t{0})), cell(event, "kind"),
                     cell(event, "sector"), cell(event, "blocks"), cell(event, "count"),
                     cell(event, "text")});
        answer.json["events"].push_back(event);
    });
    answer.text = columns.str();
    return answer;
}

}  // namespace

extern constinit const Verb stats_verb = {
    .name = "stats",
    .usage = "TARGET",
    .help = "print all counters and latencies",
    .operands_min = 1,
    .operands_max = 1,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run_stats,
};

extern constinit const Verb health_verb = {
    .name = "health",
    .usage = "TARGET",
    .help = "say how a disk that is up is, why, and what to do",
    .operands_min = 1,
    .operands_max = 1,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run_health,
};

extern constinit const Verb metrics_verb = {
    .name = "metrics",
    .usage = "[--output FILE] TARGET",
    .help = "print the metrics for Prometheus",
    .operands_min = 1,
    .operands_max = 1,
    .declare = declare_metrics,
    .exit_codes = ExitCodes::usual,
    .run = run_metrics,
};

extern constinit const Verb events_verb = {
    .name = "events",
    .usage = "TARGET",
    .help = "print the last events",
    .operands_min = 1,
    .operands_max = 1,
    .declare = nullptr,
    .exit_codes = ExitCodes::usual,
    .run = run_events,
};

}  // namespace dmremap::ctl
