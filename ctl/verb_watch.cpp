// SPDX-License-Identifier: GPL-2.0-or-later
// watch: status, rates, health and map of a disk, drawn anew every so often, like top. Ends with
// Ctrl-C, or with the disk.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>

#include "ctl/interruption.h"
#include "ctl/number.h"
#include "ctl/surface_report.h"
#include "ctl/text.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

void declare(OptionDeclarations& options) {
    options.add_options()("interval", po::value<std::string>()->value_name("SECONDS"),
                          "time between two pictures, 1 to 3600 (2)");
    options.add_options()("count", po::value<std::string>()->value_name("N"),
                          "end after N pictures");
}

using Clock = std::chrono::steady_clock;

struct Reading {
    std::vector<NameValue> stats;
    Clock::time_point time;
};

std::string rate(const Reading& now, const Reading& before, const std::string& name) {
    const double seconds = std::chrono::duration<double>(now.time - before.time).count();
    const std::uint64_t from = number_of(before.stats, name), to = number_of(now.stats, name);
    const double each = seconds <= 0 || to < from ? 0 : static_cast<double>(to - from) / seconds;
    const auto whole = static_cast<std::uint64_t>(each);
    return (name.ends_with("_bytes") ? short_size(whole) : std::to_string(whole)) + "/s";
}

// Cells of the map in a row, and rows.
struct MapSize {
    std::uint64_t columns = 64, rows = kMapRows;
    bool operator==(const MapSize&) const = default;
};

// The map, read anew only when something on it changed: a long list costs the disk's daemon, too.
class Map {
public:
    std::string text(const Control& control, const std::vector<NameValue>& stats, MapSize size) {
        std::vector<std::uint64_t> state;
        for (const char* name : {"remaps", "moves", "unmaps", "active_mappings", "sectors_lost",
                                 "sectors_salvaged", "lost_sectors", "scanned_sectors"})
            state.push_back(number_of(stats, name));
        if (text_.empty() || state != state_ || size != size_)
            text_ =
                surface_text(read_surface(control, size.columns * size.rows).surface, size.columns);
        state_ = state;
        size_ = size;
        return text_;
    }

private:
    std::string text_;
    std::vector<std::uint64_t> state_;  // what text_ shows
    MapSize size_;
};

std::string picture(const Control& control, const Reading& now, const Reading& before, Map& map,
                    MapSize size) {
    const StatusLine status = parse_status_line(control.read("status"));
    Fields fields;
    fields.heading(printable(control.mount_point()) + "   " +
                   human_time(static_cast<std::uint64_t>(std::time(nullptr))));
    fields.add("main", printable(status.main) + ", " + short_size(status.sectors * 512));
    fields.add("spare", printable(status.spare));
    for (const auto& [name, value] : parse_name_values(control.read("health")))
        if (name == "state" || name == "causes" || name == "advice") fields.add(name, value);
    for (const std::string op : {"read", "write"})
        fields.add(op + "s", rate(now, before, op + "_completed") + "  " +
                                 rate(now, before, op + "_bytes") + "  p50 " +
                                 human_duration(number_of(now.stats, op + "_p50_ns")) + "  p99 " +
                                 human_duration(number_of(now.stats, op + "_p99_ns")));
    const auto count = [&now](const char* name) {
        return std::to_string(number_of(now.stats, name));
    };
    fields.add("slots", count("slots_used") + " used, " + count("slots_free") + " free, " +
                            count("slots_bad") + " bad");
    fields.add("lost",
               count("lost_sectors") + " sectors, " + count("retry_sectors") + " tried again");
    fields.add("errors",
               count("main_errors") + " of main, " + count("spare_errors") + " of the spare");
    return fields.str() + "\n" + map.text(control, now.stats, size);
}

std::uint64_t option(const Arguments& arguments, const char* name, std::uint64_t usual,
                     std::uint64_t most) {
    if (!arguments.has(name)) return usual;
    const std::uint64_t number = parse_number(arguments.value(name), name);
    if (number < 1 || number > most)
        throw Refusal(RefusalKind::usage,
                      std::string(name) + " is from 1 to " + std::to_string(most));
    return number;
}

// As much as the terminal has room for beside the numbers.
MapSize map_size() {
    constexpr unsigned kLinesOfNumbers = 14, kSectorColumns = 16;
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
    return {
        std::clamp<std::uint64_t>(size.ws_col, kSectorColumns + 8, 256) - kSectorColumns,
        std::clamp<std::uint64_t>(size.ws_row, kLinesOfNumbers + 1, kLinesOfNumbers + kMapRows) -
            kLinesOfNumbers};
}

// A screen of its own, given back however this ends.
class Screen {
public:
    Screen() : terminal_(::isatty(STDOUT_FILENO) == 1) {
        if (!terminal_) return;
        std::fputs("\x1b[?1049h\x1b[?25l", stdout);
    }
    ~Screen() {
        if (terminal_) std::fputs("\x1b[?25h\x1b[?1049l", stdout);
        std::fflush(stdout);
    }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    void draw(const std::string& text) const {
        if (terminal_)
            std::fputs(("\x1b[H\x1b[J" + coloured_picture(text)).c_str(), stdout);
        else
            std::fputs((text + "\n").c_str(), stdout);
        std::fflush(stdout);
    }

private:
    static std::string coloured_picture(const std::string& text) {
        const auto map = text.find("\n# ");
        return text.substr(0, map) +
               (map == std::string::npos ? "" : "\n" + coloured_map(text.substr(map + 1)));
    }

    bool terminal_;
};

Answer run(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const std::uint64_t interval = option(arguments, "interval", 2, 3600);
    std::uint64_t left = option(arguments, "count", UINT64_MAX, UINT64_MAX);
    const auto take = [&control] {
        return Reading{parse_name_values(control.read("stats")), Clock::now()};
    };
    const Interruption interruption;
    Answer answer;
    Reading before = take();
    if (arguments.has("json")) {
        answer.json = {{"target", control.mount_point()}, {"pictures", Json::array()}};
        if (left == UINT64_MAX) left = 1;
    }
    {
        std::optional<Screen> screen;
        Map map;
        if (!arguments.has("json")) screen.emplace();
        while (left-- > 0 && !interruption.wanted()) {
            const Reading now = take();
            if (screen)
                screen->draw(picture(control, now, before, map, map_size()));
            else
                answer.json["pictures"].push_back(
                    {{"state", control.read("state")}, {"stats", name_values_json(now.stats)}});
            before = now;
            if (left == 0 || interruption.wanted()) break;
            timespec pause{};
            pause.tv_sec = static_cast<time_t>(interval);
            ::nanosleep(&pause, nullptr);  // a signal ends it
        }
    }
    return answer;
}

}  // namespace

extern constinit const Verb watch_verb = {
    .name = "watch",
    .usage = "[--interval SECONDS] [--count N] TARGET",
    .help = "show status, rates, health and map, again and again",
    .operands_min = 1,
    .operands_max = 1,
    .declare = declare,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
