// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/health.h"

#include <algorithm>
#include <bit>

#include "core/statistics.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kSpreadSectors = (64ull << 20) / DMR_SECTOR_SIZE;
constexpr std::uint64_t kSpreadMatters = 1ull << 30;  // bytes of main
constexpr std::uint32_t kGrowthDays = 7;
constexpr std::uint32_t kForecastDays = 3;

// log2(n + 1), rounded up.
unsigned log_of(std::uint64_t n) { return static_cast<unsigned>(std::bit_width(n)); }

std::string counted(std::uint64_t n, const std::string& what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

bool active(const DiskStatus& status, const char* name) {
    return std::any_of(status.causes.begin(), status.causes.end(),
                       [name](const Cause& cause) { return cause.name == name; });
}

struct Growth {
    std::uint32_t days = 0;  // 0: not known
    std::uint64_t blocks = 0;
};

// Since the last day noted that is `at_least` days before the newest one; or since the first. The
// days ascend.
Growth growth_since(const std::vector<DaySample>& days, std::uint32_t at_least) {
    if (days.size() < 2) return {};
    const DaySample& now = days.back();
    auto from = std::find_if(days.rbegin(), days.rend(), [&](const DaySample& sample) {
        return now.day - sample.day >= at_least;
    });
    const DaySample& then = from == days.rend() ? days.front() : *from;
    return {now.day - then.day, now.remaps > then.remaps ? now.remaps - then.remaps : 0u};
}

class Judge {
public:
    Judge(const DiskStatus& status, const RemapSpread& spread) : status_(status), spread_(spread) {}

    Health judge() {
        data();
        places();
        devices();
        slots();
        health_.score = lost_ < 100 ? 100 - lost_ : 0;
        if (status_.state == State::failed)
            cap(0, "Main, or the spare, does not answer.");
        else if (status_.state == State::read_only && !active(status_, "opened_read_only"))
            cap(20, "Nothing can be written any more until it is opened again.");
        trend();
        health_.advice = advice();
        return health_;
    }

private:
    void take(unsigned points, const std::string& because) {
        lost_ += points;
        health_.because.push_back(because);
    }
    void cap(unsigned most, const std::string& because) {
        health_.score = std::min(health_.score, most);
        health_.because.push_back(because);
    }

    void data() {
        if (const std::uint64_t lost = status_.lost_sectors; lost != 0)
            take(std::min(8 + 3 * log_of(lost), 40u),
                 counted(lost, "sector") + " could not be read by anybody.");
        if (const std::uint64_t remaps = status_.active_mappings; remaps != 0)
            take(std::min(2 * log_of(remaps), 20u),
                 counted(remaps, "block") + " of main had to be remapped.");
    }

    void places() {
        const Growth growth = growth_since(status_.days, kGrowthDays);
        if (growth.days != 0 && growth.blocks != 0)
            take(std::min(3 * log_of(growth.blocks), 24u), counted(growth.blocks, "block") +
                                                               " of them in the last " +
                                                               counted(growth.days, "day") + ".");
        if (status_.size >= kSpreadMatters && spread_.remaps >= 8 &&
            2 * spread_.densest >= spread_.remaps)
            take(5, counted(spread_.densest, "block") + " of them lie within 64 MiB from sector " +
                        std::to_string(spread_.densest_sector) +
                        " on, as under a scratch, which grows.");
        if (const std::uint64_t weak = status_.scan.weak; weak != 0)
            take(std::min(log_of(weak), 8u),
                 counted(weak, "block") + " can be read only slowly or by trying again.");
    }

    void devices() {
        const std::uint64_t writes = status_.totals.main_failed[static_cast<unsigned>(Op::write)];
        if (writes != 0)
            take(6, "Main failed " + counted(writes, "write") + " since the disk was opened.");
        if (status_.totals.spare_errors != 0)
            take(6, "The spare failed " + counted(status_.totals.spare_errors, "call") +
                        " since the disk was opened.");
        if (const std::uint64_t repairs = status_.scan.metadata_repairs; repairs != 0)
            take(std::min(2 * log_of(repairs), 10u),
                 std::to_string(repairs) +
                     (repairs == 1 ? " copy of the metadata was" : " copies of the metadata were") +
                     " found damaged on the spare and repaired.");
        if (status_.retired_pages != 0)
            take(10, counted(status_.retired_pages, "page") +
                         " of the spare's metadata cannot be relied on any more.");
    }

    void slots() {
        const std::uint64_t free = free_slots(status_);
        const std::uint64_t percent = status_.slots == 0 ? 0 : free * 100 / status_.slots;
        const unsigned points = free == 0      ? 30
                                : percent < 5  ? 20
                                : percent < 10 ? 12
                                : percent < 20 ? 6
                                               : 0;
        if (points != 0)
            take(points, std::to_string(free) + " of " + counted(status_.slots, "slot") +
                             " of the spare are free.");
    }

    void trend() {
        const Growth week = growth_since(status_.days, kGrowthDays);
        if (week.days == 0)
            health_.trend = "not enough history";
        else if (week.blocks == 0)
            health_.trend = "no new remaps in " + counted(week.days, "day");
        else
            health_.trend = counted(week.blocks, "new remap") + " in " + counted(week.days, "day");
        const Growth all = growth_since(status_.days, ~0u / 2);
        const std::uint64_t free = free_slots(status_);
        if (free == 0) {
            health_.spare_full = "it is full";
        } else if (all.days < kForecastDays) {
            health_.spare_full = "not enough history";
        } else if (all.blocks == 0) {
            health_.spare_full = "no growth in " + counted(all.days, "day");
        } else {
            // Rounded; the product fits, for there are less than 2^48 slots.
            const std::uint64_t left = (free * all.days + all.blocks / 2) / all.blocks;
            health_.spare_full = "in about " + counted(left, "day") + " at this rate (" +
                                 counted(all.blocks, "block") + " in " + counted(all.days, "day") +
                                 ", " + counted(free, "slot") + " free)";
        }
    }

    // By the worst cause; the states are in that order.
    std::string advice() const {
        if (active(status_, "spare_gone"))
            return "look at cables and power of the spare; what was moved there cannot be had "
                   "until "
                   "it answers again";
        if (status_.state == State::failed)
            return "look at cables and power of main; nothing is moved until it answers again";
        if (active(status_, "opened_read_only"))
            return "nothing is written; copy off what is needed";
        if (status_.state == State::read_only)
            return "unmount and mount again; what was written since the last flush may be lost";
        if (active(status_, "lost_pages"))
            return "copy the disk while it is mounted: the spare opens for rescue only afterwards";
        if (active(status_, "spare_full") || active(status_, "spare_fs_full") ||
            active(status_, "spare_low"))
            return "copy the disk while it can be, or unmap blocks that main holds well again";
        if (active(status_, "spare_unwritable") || active(status_, "superblock_unwritable") ||
            active(status_, "retired_pages") || active(status_, "metadata_in_doubt"))
            return "look at the spare: it fails, too; unmounting and mounting tries its pages "
                   "again";
        if (status_.lost_sectors != 0)
            return "run salvage; restore the files concerned, for writing a lost sector heals it";
        if (health_.score < 60) return "copy the disk to another one while it can be read";
        if (status_.scan.weak != 0)
            return "set relocate_weak Y and scan, to move the weak blocks while they can be read";
        if (status_.active_mappings != 0 && status_.scan.passes == 0)
            return "scan the disk once: there may be more bad blocks than were met so far";
        return "none";
    }

    const DiskStatus& status_;
    const RemapSpread& spread_;
    Health health_;
    unsigned lost_ = 0;
};

void add_line(std::string& text, const char* name, std::uint64_t value) {
    text += std::string(name) + " " + std::to_string(value) + "\n";
}

}  // namespace

RemapSpread spread_of(const Disk& disk) {
    RemapSpread spread;
    std::uint64_t region = ~0ull, here = 0;
    disk.list_remaps([&](const RemapInfo& remap) {
        spread.remaps++;
        if (remap.sector / kSpreadSectors != region) {
            region = remap.sector / kSpreadSectors;
            here = 0;
        }
        if (++here > spread.densest) {
            spread.densest = here;
            spread.densest_sector = region * kSpreadSectors;
        }
    });
    return spread;
}

Health judge_health(const DiskStatus& status, const RemapSpread& spread) {
    return Judge(status, spread).judge();
}

std::string health_text(const DiskStatus& status, const RemapSpread& spread) {
    const Health health = judge_health(status, spread);
    std::string text = std::string("state ") + state_name(status.state) + "\n";
    text += "causes";
    for (const Cause& cause : status.causes) text.append(" ").append(cause.name);
    text += status.causes.empty() ? " none\n" : "\n";
    text += "score " + std::to_string(health.score) + "\n";
    for (const std::string& sentence : health.because) text += "because " + sentence + "\n";
    text += "trend " + health.trend + "\n";
    text += "spare_full " + health.spare_full + "\n";
    add_line(text, "remapped_blocks", status.active_mappings);
    add_line(text, "lost_sectors", status.lost_sectors);
    add_line(text, "retry_sectors", status.retry_sectors);
    add_line(text, "weak_blocks", status.scan.weak);
    add_line(text, "slots_free", free_slots(status));
    add_line(text, "slots_free_percent",
             status.slots == 0 ? 0 : free_slots(status) * 100 / status.slots);
    add_line(text, "retired_pages", status.retired_pages);
    add_line(text, "metadata_repairs", status.scan.metadata_repairs);
    add_line(text, "main_errors", status.totals.main_errors);
    add_line(text, "spare_errors", status.totals.spare_errors);
    add_line(text, "scan_passes", status.scan.passes);
    add_line(text, "last_scan_unix", status.scan.pass_end);
    return text + "advice " + health.advice + "\n";
}

}  // namespace dmremap
