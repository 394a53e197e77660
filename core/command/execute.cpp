// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/command/execute.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "core/format.h"
#include "core/health.h"
#include "core/statistics.h"
#include "core/status_line.h"

namespace dmremap {

namespace {

// Sectors between two looks whether somebody still waits. As many as take a fraction of a second: a
// bad block may take longer, and a thousand good ones less.
constexpr std::uint64_t kFirstStride = 64, kLeastStride = 8, kMostStride = 16 * 2048;
constexpr auto kStrideLasts = std::chrono::milliseconds(250);

void add_line(std::string& text, const char* name, std::uint64_t value) {
    text += std::string(name) + " " + std::to_string(value) + "\n";
}

CommandAnswer refuse(int error, std::string sentence) { return {error, std::move(sentence), ""}; }

std::string refusal_reason(CommandVerb verb, int error) {
    switch (error) {
        case ENODATA:
            return "sectors of it are lost; write them, or try salvage, or, where main may still "
                   "have all of them, bring it back by force";
        case EAGAIN:
            return "pages of the entry table are retired; unmount and mount again first";
        case ENOSPC:
            return "no slot is left on the spare, or its file system is full";
        case EROFS:
            return "the disk is read-only";
        case ENODEV:
            return "main or the spare is gone, or the disk is being closed";
        case EIO:
            return verb == CommandVerb::unmap
                       ? "main does not take the data, or the spare cannot be read or written"
                       : "main cannot be read at all, or the spare not be written";
        default:
            return std::strerror(error);
    }
}

void add_up(RangeResult& sum, const RangeResult& part) {
    if (sum.error == 0) {
        sum.error = part.error;
        sum.sector = part.sector;
    }
    sum.changed += part.changed;
    sum.unchanged += part.unchanged;
    sum.refused += part.refused;
}

CommandAnswer move_range(Disk& disk, const Command& command,
                         const std::function<bool()>& cancelled) {
    const std::uint64_t sectors = disk.size() / DMR_SECTOR_SIZE;
    if (command.sector >= sectors || command.count > sectors - command.sector)
        return refuse(EINVAL, "the disk has " + std::to_string(sectors) +
                                  " sectors, and the range is not within them");
    RangeResult result;
    const std::uint64_t end = command.sector + command.count;
    std::uint64_t at = command.sector;
    std::uint64_t stride = kFirstStride;
    while (at < end) {
        const std::uint64_t next = std::min(end, (at / stride + 1) * stride);
        const auto start = std::chrono::steady_clock::now();
        const RangeResult part = command.verb == CommandVerb::remap
                                     ? disk.remap(at, next - at)
                                     : disk.unmap(at, next - at, command.force);
        add_up(result, part);
        at = next;
        stride = std::chrono::steady_clock::now() - start < kStrideLasts
                     ? std::min(stride * 2, kMostStride)
                     : std::max(stride / 4, kLeastStride);
        // Nothing of what follows could end otherwise; and what a full spare cannot take is not to
        // be read from a disk that may die of it.
        if (part.error == EROFS || part.error == ENODEV || part.error == ENOSPC) break;
        if (at < end && cancelled && cancelled()) break;
    }
    CommandAnswer answer;
    add_line(answer.text, "changed_blocks", result.changed);
    add_line(answer.text, "unchanged_blocks", result.unchanged);
    add_line(answer.text, "refused_blocks", result.refused);
    if (result.error != 0) {
        add_line(answer.text, "first_refused_sector", result.sector);
        answer.error = result.error;
        answer.sentence = "the block at sector " + std::to_string(result.sector) +
                          " was left as it was: " + refusal_reason(command.verb, result.error);
    } else if (at < end) {
        answer.error = ECANCELED;
        answer.sentence = "interrupted before sector " + std::to_string(at);
    }
    return answer;
}

CommandAnswer query(const Disk& disk, std::uint64_t sector) {
    if (sector >= disk.size() / DMR_SECTOR_SIZE)
        return refuse(EINVAL, "the disk has " + std::to_string(disk.size() / DMR_SECTOR_SIZE) +
                                  " sectors, from 0 on");
    CommandAnswer answer;
    add_line(answer.text, "sector", sector);
    const auto remap = disk.find_remap(sector);
    if (disk.fenced(sector)) {
        answer.text +=
            "place fenced\n"
            "advice it is EIO until reopened: unmount, run dmremapctl check on the spare, and "
            "mount "
            "again\n";
        return answer;
    }
    if (!remap) {
        answer.text += "place main\n";
        return answer;
    }
    const unsigned bit = static_cast<unsigned>(sector - remap->sector);
    answer.text += "place spare\n";
    add_line(answer.text, "spare_sector", remap->spare_sector + bit);
    add_line(answer.text, "slot", remap->slot);
    answer.text += std::string("reason ") + reason_word(remap->reason) + "\n";
    add_line(answer.text, "time", remap->time);
    add_line(answer.text, "lost", remap->lost >> bit & 1);
    add_line(answer.text, "retry", remap->retry >> bit & 1);
    return answer;
}

CommandAnswer salvage(Disk& disk, const std::function<bool()>& cancelled) {
    if (disk.read_only()) return refuse(EROFS, "the disk is read-only");
    CommandAnswer answer;
    const auto enough = [&answer, &cancelled] {
        if (cancelled()) answer.error = ECANCELED;
        return answer.error != 0;
    };
    add_line(answer.text, "salvaged_sectors", cancelled ? disk.salvage(enough) : disk.salvage());
    if (answer.error != 0) answer.sentence = "interrupted; the disk goes on trying by itself";
    const DiskStatus status = disk.status();
    add_line(answer.text, "lost_sectors", status.lost_sectors);
    add_line(answer.text, "retry_sectors", status.retry_sectors);
    return answer;
}

CommandAnswer set(const ParameterTable& parameters, const Command& command) {
    CommandAnswer answer;
    answer.error = parameters.set(command.parameter, command.value, answer.sentence);
    if (answer.error == 0)
        answer.text =
            command.parameter + " " + parameter_text(*parameters.find(command.parameter)) + "\n";
    return answer;
}

CommandAnswer scan(Disk& disk, const Command& command) {
    ScanOrder order = ScanOrder::start;
    if (command.value == "stop") order = ScanOrder::stop;
    if (command.value == "pause") order = ScanOrder::pause;
    if (command.value == "resume") order = ScanOrder::resume;
    const int error = disk.scan(order, command.sector, command.whole ? 0 : command.count);
    if (error == 0) return {0, "", "scan " + scan_line(disk.status().scan) + "\n"};
    switch (error) {
        case EBUSY:
            return refuse(error, "a scan is under way already; stop it first");
        case ENOENT:
            return refuse(error, "no scan is under way");
        case EINVAL:
            return refuse(error, "the disk has " + std::to_string(disk.size() / DMR_SECTOR_SIZE) +
                                     " sectors, and the range is not within them");
        case EROFS:
            return refuse(error, "the disk is read-only");
        default:
            return refuse(error, std::string("it could not be recorded: ") + std::strerror(error));
    }
}

}  // namespace

std::string scan_line(const ScanProgress& scan) {
    std::string text =
        std::to_string(scan.done_sectors) + "/" + std::to_string(scan.total_sectors) + " " +
        std::to_string(scan.bytes_per_second) + " " +
        (scan.eta_seconds == 0 ? std::string("-") : std::to_string(scan.eta_seconds)) + " " +
        std::to_string(scan.found) + " " + scan_state_name(scan.state);
    if (!scan.waits_for.empty()) text.append(" for ").append(scan.waits_for);
    return text;
}

CommandAnswer execute_command(const CommandContext& context, const Command& command,
                              const std::function<bool()>& cancelled) {
    Disk& disk = context.disk;
    switch (command.verb) {
        case CommandVerb::help:
            return {0, "", command_help()};
        case CommandVerb::status:
            return {0, "", status_line(disk.status(), context.demo) + "\n"};
        case CommandVerb::stats:
            return {0, "", statistics_text(disk.status())};
        case CommandVerb::health:
            return {0, "", health_text(disk.status(), spread_of(disk))};
        case CommandVerb::clear_stats:
            disk.clear_stats();
            return {0, "", "stats cleared\n"};
        case CommandVerb::remap:
        case CommandVerb::unmap:
            return move_range(disk, command, cancelled);
        case CommandVerb::query:
            return query(disk, command.sector);
        case CommandVerb::salvage:
            return salvage(disk, cancelled);
        case CommandVerb::scan:
            return scan(disk, command);
        case CommandVerb::set:
            return set(context.parameters, command);
    }
    return refuse(EINVAL, "no such message");
}

}  // namespace dmremap
