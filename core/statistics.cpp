// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/statistics.h"

#include <array>

#include "core/format.h"

namespace dmremap {

namespace {

struct Percentile {
    const char* name;
    const char* quantile;
    double fraction;
};
constexpr std::array kPercentiles = {Percentile{"p50", "0.5", 0.50}, Percentile{"p90", "0.9", 0.90},
                                     Percentile{"p99", "0.99", 0.99},
                                     Percentile{"p999", "0.999", 0.999}};

constexpr std::array kOpsShown = {Op::read, Op::write, Op::zero, Op::discard, Op::flush};
static_assert(kOpsShown.size() == kOps);

constexpr MetricFamily kSize = {"dmremap_size_bytes", MetricType::gauge, "Size of the disk."};
constexpr MetricFamily kUptime = {"dmremap_uptime_seconds", MetricType::gauge,
                                  "Time since the disk was opened."};
constexpr MetricFamily kDuration = {"dmremap_request_duration_seconds", MetricType::summary,
                                    "Time of requests from submission to completion."};
constexpr MetricFamily kFailures = {"dmremap_request_failures_total", MetricType::counter,
                                    "Requests that ended with an error."};
constexpr MetricFamily kBytes = {"dmremap_request_bytes_total", MetricType::counter,
                                 "Bytes of the requests that ended well."};
constexpr MetricFamily kMainErrors = {"dmremap_main_errors_total", MetricType::counter,
                                      "Calls that main failed."};
constexpr MetricFamily kSpareErrors = {"dmremap_spare_errors_total", MetricType::counter,
                                       "Calls that the spare failed."};
constexpr MetricFamily kRemaps = {"dmremap_remaps_total", MetricType::counter,
                                  "Blocks that were remapped."};
constexpr MetricFamily kMoves = {"dmremap_moves_total", MetricType::counter,
                                 "Blocks that went from slot to slot."};
constexpr MetricFamily kUnmaps = {"dmremap_unmaps_total", MetricType::counter,
                                  "Blocks that went back to main."};
constexpr MetricFamily kLostTotal = {"dmremap_sectors_lost_total", MetricType::counter,
                                     "Sectors that nobody could read."};
constexpr MetricFamily kSalvaged = {"dmremap_sectors_salvaged_total", MetricType::counter,
                                    "Lost sectors that a later try read."};
constexpr MetricFamily kCommits = {"dmremap_commits_total", MetricType::counter,
                                   "Group commits of the entry table."};
constexpr MetricFamily kFlushes = {"dmremap_device_flushes_total", MetricType::counter,
                                   "Flushes of main and spare."};
constexpr MetricFamily kMappings = {"dmremap_active_mappings", MetricType::gauge,
                                    "Blocks that live in a slot."};
constexpr MetricFamily kLost = {"dmremap_lost_sectors", MetricType::gauge,
                                "Sectors that read as an I/O error until they are written."};
constexpr MetricFamily kRetry = {"dmremap_retry_sectors", MetricType::gauge,
                                 "Lost sectors that are still tried on main."};
constexpr MetricFamily kSlots = {"dmremap_slots", MetricType::gauge, "Slots of the spare."};
constexpr MetricFamily kSlotsBy = {"dmremap_slots_by_state", MetricType::gauge,
                                   "Slots of the spare that are used, bad or free."};
constexpr MetricFamily kRetired = {"dmremap_retired_pages", MetricType::gauge,
                                   "Pages of the entry table that are out of use."};
constexpr MetricFamily kScanned = {"dmremap_scanned_sectors", MetricType::gauge,
                                   "Sectors of main that the scan has read."};

constexpr MetricFamily kScanRunning = {"dmremap_scan_running", MetricType::gauge,
                                       "1 while a scan reads."};
constexpr MetricFamily kScanRate = {"dmremap_scan_bytes_per_second", MetricType::gauge,
                                    "What a scan reads in a second."};
constexpr MetricFamily kScanDone = {"dmremap_scan_done_sectors", MetricType::gauge,
                                    "Sectors that the pass under way has read."};
constexpr MetricFamily kScanTotal = {"dmremap_scan_total_sectors", MetricType::gauge,
                                     "Sectors of that pass."};
constexpr MetricFamily kScanPasses = {"dmremap_scan_passes_total", MetricType::counter,
                                      "Scans of all of main that ended."};
constexpr MetricFamily kScanFound = {"dmremap_scan_found_total", MetricType::counter,
                                     "Bad blocks that scans found."};
constexpr MetricFamily kWeak = {"dmremap_weak_blocks", MetricType::gauge,
                                "Blocks of main that can be read, but not well."};
constexpr MetricFamily kRepairs = {"dmremap_metadata_repairs_total", MetricType::counter,
                                   "Damaged copies of metadata that scans rewrote."};

class Table {
public:
    void add_sum(std::string name, std::uint64_t value) {
        rows.push_back({std::move(name), value, nullptr, "", "", false});
    }
    void add(std::string name, std::uint64_t value, const MetricFamily& family,
             std::string label = "", const char* suffix = "", bool nanoseconds = false) {
        rows.push_back({std::move(name), value, &family, suffix, std::move(label), nanoseconds});
    }
    std::vector<Statistic> rows;
};

std::string label(const char* name, const std::string& value) {
    return std::string(name) + "=\"" + value + "\"";
}

void add_durations(Table& table, const OpTotals& totals, const std::string& op) {
    const std::string of_op = label("op", op);
    table.add(op + "_completed", totals.completed, kDuration, of_op, "_count");
    table.add(op + "_time_ns", totals.time_ns, kDuration, of_op, "_sum", true);
    for (const Percentile& percentile : kPercentiles)
        table.add(op + "_" + percentile.name + "_ns", totals.percentile_ns(percentile.fraction),
                  kDuration, of_op + "," + label("quantile", percentile.quantile), "", true);
}

}  // namespace

std::uint64_t free_slots(const DiskStatus& status) {
    const std::uint64_t gone = status.slots_used + status.slots_bad;
    return gone < status.slots ? status.slots - gone : 0;
}

std::vector<Statistic> statistics(const DiskStatus& status) {
    const Totals& totals = status.totals;
    Table table;
    table.add("size_bytes", status.size, kSize);
    table.add("uptime_ns", status.uptime_ns, kUptime, "", "", true);
    for (const Op op : kOpsShown) add_durations(table, totals.of(op), op_name(op));
    for (const Op op : kOpsShown)
        table.add(std::string(op_name(op)) + "_failed", totals.of(op).failed, kFailures,
                  label("op", op_name(op)));
    for (const Op op : kOpsShown)
        table.add(std::string(op_name(op)) + "_bytes", totals.of(op).bytes, kBytes,
                  label("op", op_name(op)));
    table.add_sum("main_errors", totals.main_errors);
    for (const Op op : kOpsShown)
        table.add(std::string("main_") + op_name(op) + "_errors",
                  totals.main_failed[static_cast<unsigned>(op)], kMainErrors,
                  label("op", op_name(op)));
    table.add_sum("spare_errors", totals.spare_errors);
    for (const Op op : kOpsShown)
        table.add(std::string("spare_") + op_name(op) + "_errors",
                  totals.spare_failed[static_cast<unsigned>(op)], kSpareErrors,
                  label("op", op_name(op)));
    table.add_sum("remaps", totals.remaps);
    for (std::uint8_t reason = DMR_REASON_WRITE; reason <= DMR_REASON_LAST; reason++)
        table.add(std::string("remaps_") + reason_word(reason), totals.remaps_by_reason[reason],
                  kRemaps, label("reason", reason_word(reason)));
    table.add("moves", totals.moves, kMoves);
    table.add("unmaps", totals.unmaps, kUnmaps);
    table.add("sectors_lost", totals.sectors_lost, kLostTotal);
    table.add("sectors_salvaged", totals.sectors_salvaged, kSalvaged);
    table.add("commits", totals.commits, kCommits);
    table.add("device_flushes", totals.device_flushes, kFlushes);
    table.add("active_mappings", status.active_mappings, kMappings);
    table.add("lost_sectors", status.lost_sectors, kLost);
    table.add("retry_sectors", status.retry_sectors, kRetry);
    table.add("slots", status.slots, kSlots);
    table.add("slots_used", status.slots_used, kSlotsBy, label("state", "used"));
    table.add("slots_bad", status.slots_bad, kSlotsBy, label("state", "bad"));
    table.add("slots_free", free_slots(status), kSlotsBy, label("state", "free"));
    table.add("retired_pages", status.retired_pages, kRetired);
    table.add("scanned_sectors", status.scan.scanned_sectors, kScanned);
    const ScanProgress& scan = status.scan;
    table.add("scan_running", scan.state == ScanState::running ? 1 : 0, kScanRunning);
    table.add("scan_bytes_per_second", scan.bytes_per_second, kScanRate);
    table.add("scan_done_sectors", scan.done_sectors, kScanDone);
    table.add("scan_total_sectors", scan.total_sectors, kScanTotal);
    table.add("scan_passes", scan.passes, kScanPasses);
    table.add("scan_found", scan.found_ever, kScanFound);
    table.add("weak_blocks", scan.weak, kWeak);
    table.add("metadata_repairs", scan.metadata_repairs, kRepairs);
    return table.rows;
}

std::string statistics_text(const DiskStatus& status) {
    std::string text;
    for (const Statistic& statistic : statistics(status))
        text += statistic.name + " " + std::to_string(statistic.value) + "\n";
    return text;
}

}  // namespace dmremap
