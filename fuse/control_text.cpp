// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/control_text.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/format.h"
#include "core/statistics.h"
#include "core/surface.h"

namespace dmremap {

namespace {

const char* type_name(MetricType type) {
    switch (type) {
        case MetricType::counter:
            return "counter";
        case MetricType::gauge:
            return "gauge";
        case MetricType::summary:
            break;
    }
    return "summary";
}

// Of a label: UTF-8, with these three escaped. Bytes that are no ASCII may be no UTF-8 either.
std::string label_value(const std::string& bytes) {
    std::string value;
    for (const char c : bytes) {
        if (c == '\\' || c == '"')
            value += std::string("\\") + c;
        else if (c == '\n')
            value += "\\n";
        else
            value += static_cast<unsigned char>(c) < 0x80 ? c : '?';
    }
    return value;
}

std::string seconds(std::uint64_t ns) {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%llu.%09llu",
                  static_cast<unsigned long long>(ns / 1000000000),
                  static_cast<unsigned long long>(ns % 1000000000));
    return text.data();
}

void append_family(std::string& text, const MetricFamily& family) {
    text += std::string("# HELP ") + family.name + " " + family.help + "\n";
    text += std::string("# TYPE ") + family.name + " " + type_name(family.type) + "\n";
}

constexpr MetricFamily kInfo = {"dmremap_info", MetricType::gauge,
                                "What serves the disk; always 1."};
constexpr MetricFamily kState = {"dmremap_state", MetricType::gauge,
                                 "The state of the disk: 1 for the one it is in."};

}  // namespace

std::string reasons_text(const DiskStatus& status) {
    std::string text;
    for (const Cause& cause : status.causes)
        text += std::string(cause.name) + ": " + cause.text + "\n";
    return text;
}

std::string stats_json(const DiskStatus& status) {
    nlohmann::ordered_json json = {{"uuid", status.uuid}, {"state", state_name(status.state)}};
    for (const Statistic& statistic : statistics(status)) json[statistic.name] = statistic.value;
    return json.dump(2) + "\n";
}

std::string metrics_text(const DiskStatus& status, bool demo) {
    const std::string name = status.label.empty() ? status.main : status.label;
    const std::string common =
        "uuid=\"" + label_value(status.uuid) + "\",name=\"" + label_value(name) + "\"";
    std::string text;
    const auto sample = [&](const std::string& metric, const std::string& label,
                            const std::string& value) {
        text += metric;
        text.append("{").append(common).append(label.empty() ? "" : ",").append(label);
        text.append("} ").append(value).append("\n");
    };
    append_family(text, kInfo);
    sample(kInfo.name,
           std::string("version=\"" DMREMAP_PROGRAM_VERSION "\",mode=\"") +
               (demo ? "demo" : "real") + "\"",
           "1");
    append_family(text, kState);
    for (const State state : {State::healthy, State::degraded, State::read_only, State::failed})
        sample(kState.name, std::string("state=\"") + state_name(state) + "\"",
               state == status.state ? "1" : "0");
    const MetricFamily* family = nullptr;
    for (const Statistic& statistic : statistics(status)) {
        if (!statistic.family) continue;
        if (statistic.family != family) append_family(text, *(family = statistic.family));
        sample(std::string(family->name) + statistic.suffix, statistic.label,
               statistic.nanoseconds ? seconds(statistic.value) : std::to_string(statistic.value));
    }
    return text;
}

std::string weak_text(const Disk& disk) {
    std::string text = "# sector read_ns\n";
    for (const WeakBlock& weak : disk.weak_blocks())
        text += std::to_string(weak.sector) + " " + std::to_string(weak.ns) + "\n";
    return text;
}

std::string map_text(const Disk& disk, std::uint32_t width) {
    Surface surface(disk.size() / DMR_SECTOR_SIZE, width * kMapRows,
                    disk.status().scan.scanned_sectors);
    disk.list_remaps([&surface](const RemapInfo& remap) { surface.add(remap.sector, remap.lost); });
    for (const WeakBlock& weak : disk.weak_blocks()) surface.add_weak(weak.sector);
    return surface_text(surface, width);
}

}  // namespace dmremap
