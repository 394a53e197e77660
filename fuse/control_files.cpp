// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/control_files.h"

#include <spdlog/spdlog.h>

#include <cerrno>

#include "core/command/execute.h"
#include "core/health.h"
#include "core/refusal.h"
#include "core/statistics.h"
#include "core/status_line.h"
#include "fuse/control_text.h"
#include "fuse/event_reading.h"
#include "fuse/remap_listing.h"

namespace dmremap {

namespace {

int write_faults(FaultPlan& faults, const std::string& text) {
    try {
        faults.apply(text);
    } catch (const Refusal& refusal) {
        spdlog::warn("control/inject: {}", refusal.what());
        return EINVAL;
    }
    return 0;
}

std::string without_newline(std::string text) {
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

class List {
public:
    explicit List(const ControlContext& context) : context_(context) {}

    // A file whose text is made when it is opened.
    template <typename MakeText>
    ControlFile& text(const char* name, mode_t mode, MakeText make) {
        files.push_back({name, false, mode, [context = context_, make] {
                             return std::make_unique<TextReading>(make(context));
                         }});
        return files.back();
    }

    // One that changes with the disk's state.
    template <typename MakeText>
    void of_state(const char* name, MakeText make) {
        const auto version = [context = context_] { return context.events.state_changes(); };
        files.push_back({name, false, 0444, [context = context_, make, version] {
                             const std::uint64_t now = version();
                             return std::make_unique<TextReading>(make(context.disk.status()), now);
                         }});
        files.back().version = version;
    }

    // One that speaks of nothing but the disk's status.
    template <typename MakeText>
    void of_status(const char* name, MakeText make) {
        text(name, 0444, [make](const ControlContext& c) { return make(c.disk.status()); });
    }

    void parameter(const TableParameter& parameter) {
        ControlFile file{parameter.name, true, parameter.set ? 0644u : 0444u, [&parameter] {
                             return std::make_unique<TextReading>(parameter_text(parameter) + "\n");
                         }};
        if (parameter.set)
            file.message = [name = parameter.name](const std::string& value) {
                return "set " + name + " " + value;
            };
        files.push_back(std::move(file));
    }

    std::vector<ControlFile> files;

private:
    const ControlContext context_;
};

}  // namespace

std::vector<ControlFile> control_files(const ControlContext& context, const LastAnswer& answer) {
    using C = const ControlContext&;
    using S = const DiskStatus&;
    List list(context);
    list.text("status", 0444, [](C c) { return status_line(c.disk.status(), c.demo) + "\n"; });
    list.of_state("state", [](S s) { return std::string(state_name(s.state)) + "\n"; });
    list.of_state("reasons", reasons_text);
    list.text("health", 0444, [](C c) { return health_text(c.disk.status(), spread_of(c.disk)); });
    list.of_status("uuid", [](S s) { return s.uuid + "\n"; });
    list.text("version", 0444, [](C) { return std::string(DMREMAP_PROGRAM_VERSION "\n"); });
    list.of_status("stats", statistics_text);
    list.of_status("stats.json", stats_json);
    list.text("metrics", 0444, [](C c) { return metrics_text(c.disk.status(), c.demo); });
    list.files.push_back({"remaps", false, 0444,
                          [&disk = context.disk] { return std::make_unique<RemapListing>(disk); }});
    list.files.push_back({"events", false, 0444, [&events = context.events] {
                              return std::make_unique<EventReading>(events);
                          }});
    list.files.back().version = [&events = context.events] {
        return static_cast<std::uint64_t>(events.last_id());
    };
    list.files.back().extent = [&events = context.events] { return events.extent(); };
    list.text("map", 0444, [](C c) { return map_text(c.disk, c.settings.map_width()); });
    list.text("weak", 0444, [](C c) { return weak_text(c.disk); });
    list.text("rescan", 0644, [](C c) { return scan_line(c.disk.status().scan) + "\n"; }).message =
        [](const std::string& text) { return "scan " + text; };
    ControlFile& message = list.text("message", 0600, [&answer](C) { return answer.get(); });
    message.message = [](const std::string& text) { return text; };
    message.answers = true;
    for (const TableParameter& parameter : context.settings.parameters().all())
        list.parameter(parameter);
    if (context.faults)
        list.text("inject", 0600, [](C c) { return c.faults->describe(); }).write =
            [faults = context.faults](const std::string& text) {
                return write_faults(*faults, without_newline(text) + "\n");
            };
    return std::move(list.files);
}

}  // namespace dmremap
