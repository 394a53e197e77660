// SPDX-License-Identifier: GPL-2.0-or-later
// The numbers in their three forms, the metrics held against a strict reading of Prometheus' text
// format and its conventions, and the map.
#include "fuse/control_text.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/statistics.h"
#include "core/surface.h"
#include "tests/support/test_pair.h"
#include "tests/unit/prometheus_text.h"

namespace dmremap::test {

namespace {

// Each number another one, so that none can be taken for its neighbour.
DiskStatus busy_status() {
    DiskStatus status;
    status.main = "/dev/a \"b\\c\nd\xff";
    status.uuid = "352ae307-216d-4627-9a08-095de1ba2b6d";
    std::uint64_t n = 1000;
    status.size = n++;
    status.uptime_ns = 1234567890123;
    for (OpTotals& op : status.totals.op) {
        op.completed = n++;
        op.failed = n++;
        op.bytes = n++;
        op.time_ns = n++;
        op.latency[latency_bucket(n++)] = 1;
    }
    for (auto* errors : {&status.totals.main_failed, &status.totals.spare_failed})
        for (std::uint64_t& error : *errors) error = n++;
    for (std::uint64_t& remaps : status.totals.remaps_by_reason) remaps = n++;
    Totals& totals = status.totals;
    for (std::uint64_t* number :
         {&totals.main_errors, &totals.spare_errors, &totals.remaps, &totals.moves, &totals.unmaps,
          &totals.sectors_lost, &totals.sectors_salvaged, &totals.commits, &totals.device_flushes,
          &status.active_mappings, &status.lost_sectors, &status.retry_sectors, &status.slots_used,
          &status.slots_bad, &status.retired_pages, &status.scan.scanned_sectors})
        *number = n++;
    status.slots = 10000;
    return status;
}

// Samples by name and labels; every one says which disk it is of.
std::map<std::string, double> read_metrics(const std::string& text) {
    PrometheusText read = read_prometheus(text);
    EXPECT_EQ(read.str(), "");
    for (const auto& [series, number] : read.samples)
        EXPECT_TRUE(series.find("{uuid=\"") != std::string::npos &&
                    series.find("\",name=\"") != std::string::npos)
            << series;
    return read.samples;
}

double value_of(const std::map<std::string, double>& samples, const Statistic& statistic) {
    const std::string begin = std::string(statistic.family->name) + statistic.suffix + "{uuid=\"";
    const std::string end = (statistic.label.empty() ? "" : "," + statistic.label) + "}";
    double value = -1;
    unsigned found = 0;
    for (const auto& [series, number] : samples) {
        if (!series.starts_with(begin) || !series.ends_with(end)) continue;
        value = number;
        found++;
    }
    EXPECT_EQ(found, 1u) << statistic.name;
    return value;
}

}  // namespace

TEST(ControlText, MetricsPassAStrictParser) {
    const auto samples = read_metrics(metrics_text(busy_status(), true));
    EXPECT_GT(samples.size(), 60u);
    unsigned states = 0;
    for (const auto& [series, number] : samples) {
        if (series.starts_with("dmremap_state{")) states += number == 1;
        EXPECT_NE(series.find("name=\"/dev/a \\\"b\\\\c\\nd?\""), std::string::npos) << series;
    }
    EXPECT_EQ(states, 1u);
}

TEST(ControlText, StatsJsonAndMetricsAreTheSameNumbers) {
    const DiskStatus status = busy_status();
    const auto json = nlohmann::json::parse(stats_json(status));
    const auto samples = read_metrics(metrics_text(status, false));
    std::set<std::string> names;
    std::string lines;
    for (const Statistic& statistic : statistics(status)) {
        EXPECT_TRUE(names.insert(statistic.name).second) << statistic.name << " comes twice";
        lines += statistic.name + " " + std::to_string(statistic.value) + "\n";
        EXPECT_EQ(json[statistic.name], statistic.value);
        if (statistic.family == nullptr) continue;
        const double unit = statistic.nanoseconds ? 1e9 : 1;
        EXPECT_DOUBLE_EQ(value_of(samples, statistic), static_cast<double>(statistic.value) / unit)
            << statistic.name;
    }
    EXPECT_EQ(statistics_text(status), lines);
    EXPECT_EQ(json.size(), names.size() + 2);
    EXPECT_EQ(json["state"], "healthy");
    EXPECT_EQ(json["uuid"], status.uuid);
    EXPECT_EQ(json["slots_free"], status.slots - status.slots_used - status.slots_bad);
}

TEST(ControlText, ACellShowsItsWorst) {
    Surface surface(8192, 64, 4096);
    EXPECT_EQ(surface.cell_sectors(), 128u);
    surface.add(0, 0);
    surface.add(128, 0);
    surface.add(136, 0x81);
    surface.add(8191, 0);
    surface.add(8192, 0xff);  // past the end
    EXPECT_EQ(surface.cells()[1].lost, 2u);
    EXPECT_EQ(surface.cells()[1].remapped, 2u);
    EXPECT_EQ(surface_text(surface, 16),
              "# a cell is 128 sectors: . clean, - not scanned, w weak, o remapped, X lost\n"
              "   0 oX..............\n"
              "2048 ................\n"
              "4096 ----------------\n"
              "6144 ---------------o\n");
}

TEST(ControlText, TheLastCellMayBeShortAndADiskSmallerThanItsMap) {
    const Surface odd(8 * 5 + 3, 4, 0);
    EXPECT_EQ(odd.cell_sectors(), 16u);
    EXPECT_EQ(odd.cells().size(), 3u);
    const Surface tiny(16, 1000, 16);
    EXPECT_EQ(tiny.cells().size(), 2u);
    EXPECT_TRUE(tiny.cells()[1].scanned);
    const Surface huge(std::uint64_t{1} << 54, 1024, 0);
    EXPECT_EQ(huge.cells().size(), 1024u);
}

TEST(ControlText, TheMapIsWhatTheDiskIs) {
    TestPair pair;
    pair.format();
    pair.open();
    ASSERT_EQ(pair.disk->remap(0, 8).changed, 1u);
    EXPECT_NE(map_text(*pair.disk, 64).find("\n   0 o---"), std::string::npos)
        << map_text(*pair.disk, 64);
}

}  // namespace dmremap::test
