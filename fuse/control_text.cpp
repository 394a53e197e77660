// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/control_text.h"

#include <array>

#include "core/format.h"

namespace dmremap {

namespace {

struct Percentile {
    const char* name;
    double fraction;
};
constexpr std::array kPercentiles = {Percentile{"p50", 0.50}, Percentile{"p90", 0.90},
                                     Percentile{"p99", 0.99}, Percentile{"p999", 0.999}};

// By enum dmr_reason.
constexpr std::array kReasons = {"none",   "write_error", "read_error", "scan",
                                 "manual", "import",      "slow"};
static_assert(kReasons.size() == DMR_REASON_LAST + 1);

const char* reason_word(std::uint8_t reason) {
    return reason < kReasons.size() ? kReasons[reason] : "unknown";
}

void append_value(std::string& text, const std::string& name, std::uint64_t value) {
    text += name + " " + std::to_string(value) + "\n";
}

void append_op(std::string& text, Op op, const OpTotals& totals) {
    const std::string name = op_name(op);
    append_value(text, name + "_completed", totals.completed);
    append_value(text, name + "_failed", totals.failed);
    append_value(text, name + "_bytes", totals.bytes);
    append_value(text, name + "_time_ns", totals.time_ns);
    for (const Percentile& percentile : kPercentiles)
        append_value(text, name + "_" + percentile.name + "_ns",
                     totals.percentile_ns(percentile.fraction));
}

std::string mask(std::uint8_t bits) {
    constexpr const char* kHex = "0123456789abcdef";
    return {'0', 'x', kHex[bits >> 4], kHex[bits & 15]};
}

}  // namespace

std::string reasons_text(const DiskStatus& status) {
    std::string text;
    for (const Cause& cause : status.causes)
        text += std::string(cause.name) + ": " + cause.text + "\n";
    return text;
}

std::string stats_text(const DiskStatus& status) {
    const Totals& totals = status.totals;
    std::string text;
    append_value(text, "size_bytes", status.size);
    append_value(text, "uptime_ns", status.uptime_ns);
    for (const Op op : {Op::read, Op::write, Op::zero, Op::discard, Op::flush})
        append_op(text, op, totals.of(op));
    append_value(text, "main_errors", totals.main_errors);
    append_value(text, "spare_errors", totals.spare_errors);
    append_value(text, "remaps", totals.remaps);
    for (std::uint8_t reason = DMR_REASON_WRITE; reason <= DMR_REASON_LAST; reason++)
        append_value(text, std::string("remaps_") + reason_word(reason),
                     totals.remaps_by_reason[reason]);
    append_value(text, "moves", totals.moves);
    append_value(text, "unmaps", totals.unmaps);
    append_value(text, "sectors_lost", totals.sectors_lost);
    append_value(text, "sectors_salvaged", totals.sectors_salvaged);
    append_value(text, "commits", totals.commits);
    append_value(text, "device_flushes", totals.device_flushes);
    append_value(text, "active_mappings", status.active_mappings);
    append_value(text, "lost_sectors", status.lost_sectors);
    append_value(text, "retry_sectors", status.retry_sectors);
    append_value(text, "slots", status.slots);
    append_value(text, "slots_used", status.slots_used);
    append_value(text, "slots_bad", status.slots_bad);
    append_value(text, "retired_pages", status.retired_pages);
    return text;
}

std::string remaps_text(const Disk& disk) {
    constexpr std::size_t kUsualLine = 56;
    std::string text = "# sector slot spare_sector reason time lost retry\n";
    text.reserve(text.size() + disk.status().active_mappings * kUsualLine);
    disk.list_remaps([&text](const RemapInfo& remap) {
        for (const std::uint64_t number : {remap.sector, remap.slot, remap.spare_sector})
            text.append(std::to_string(number)).push_back(' ');
        text.append(reason_word(remap.reason)).push_back(' ');
        text.append(std::to_string(remap.time)).push_back(' ');
        text.append(mask(remap.lost)).push_back(' ');
        text.append(mask(remap.retry)).push_back('\n');
    });
    return text;
}

}  // namespace dmremap
