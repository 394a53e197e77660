// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/event_log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

#include <array>

#include "core/format.h"

namespace dmremap {

namespace {

constexpr std::size_t kLinesPending = 1024;

spdlog::level::level_enum level_of(EventKind kind) {
    switch (kind) {
        case EventKind::unmapped:  // by hand only
            return spdlog::level::debug;
        case EventKind::opened:
        case EventKind::closed:
        case EventKind::remapped:
        case EventKind::moved:
        case EventKind::salvaged:
        case EventKind::rewritten:
        case EventKind::breaker_reset:
        case EventKind::scan_started:
        case EventKind::scan_ended:
            return spdlog::level::info;
        case EventKind::recovered:
        case EventKind::bad_slot:
        case EventKind::spare_low:
        case EventKind::scan_found:
        case EventKind::weak_block:
        case EventKind::metadata_repaired:
        case EventKind::state_changed:
            return spdlog::level::warn;
        case EventKind::lost:
        case EventKind::page_retired:
        case EventKind::slot_unreadable:
        case EventKind::spare_full:
        case EventKind::spare_fs_full:
            return spdlog::level::err;
        case EventKind::breaker_tripped:
        case EventKind::flush_failed:
        case EventKind::commit_failed:
        case EventKind::device_gone:
            return spdlog::level::critical;
    }
    return spdlog::level::err;
}

// What was moved by hand is no news to who asked, and may be a million lines; nor is it a warning
// that a disk mounted with ro is read-only.
spdlog::level::level_enum level_of(const Event& event) {
    if (event.kind == EventKind::remapped && event.text == reason_word(DMR_REASON_MANUAL))
        return spdlog::level::debug;
    if (event.kind == EventKind::state_changed &&
        event.text.starts_with("healthy -> read_only: opened_read_only"))
        return spdlog::level::info;
    return level_of(event.kind);
}

}  // namespace

struct EventLog::Sinks {
    std::string ident;  // syslog keeps a pointer to it
    spdlog::sink_ptr terminal;
    spdlog::level::level_enum wanted;
};

EventLog::EventLog(const std::string& program, const std::string& level, bool foreground)
    : sinks_(std::make_unique<Sinks>()) {
    const auto wanted = level.empty() ? spdlog::level::info : spdlog::level::from_str(level);
    sinks_->wanted = wanted;
    sinks_->ident = program;
    sinks_->terminal = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    sinks_->terminal->set_pattern(program + ": %v");
    if (!foreground && level.empty()) sinks_->terminal->set_level(spdlog::level::warn);

    std::vector<spdlog::sink_ptr> sinks = {sinks_->terminal};
    if (!foreground) {
        sinks.push_back(
            std::make_shared<spdlog::sinks::syslog_sink_mt>(program, LOG_PID, LOG_DAEMON, true));
        sinks.back()->set_pattern("%v");
    }
    spdlog::init_thread_pool(kLinesPending, 1);
    auto logger = std::make_shared<spdlog::async_logger>(
        program, sinks.begin(), sinks.end(), spdlog::thread_pool(),
        spdlog::async_overflow_policy::overrun_oldest);
    logger->set_level(wanted);
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
}

EventLog::~EventLog() { spdlog::shutdown(); }

void EventLog::leave_terminal() { sinks_->terminal->set_level(spdlog::level::off); }

void EventLog::set_debug(std::uint32_t value) {
    constexpr std::array kLevels = {spdlog::level::info, spdlog::level::debug,
                                    spdlog::level::trace};
    spdlog::set_level(value == 0 ? sinks_->wanted : kLevels.at(value - 1));
}

void log_event(const Event& event) {
    std::string line = event_kind_name(event.kind);
    if (event_has_sector(event.kind)) line += " sector " + std::to_string(event.sector);
    if (event.count != 0) line += " count " + std::to_string(event.count);
    if (!event.text.empty()) line += ": " + event.text;
    spdlog::log(level_of(event), line);
}

}  // namespace dmremap
