// SPDX-License-Identifier: GPL-2.0-or-later
// The control files: one list of names, modes, what they read as and what a write to them means.
//
// Sysfs manners: one value a file and a newline, errno on a bad write. Reading a file from 0 takes
// one consistent picture, however many reads it takes; see control_handle.h.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/device/fault_plan.h"
#include "core/disk.h"
#include "fuse/control_reading.h"
#include "fuse/event_history.h"
#include "fuse/settings.h"

namespace dmremap {

// What control files speak of. All of it outlives them.
struct ControlContext {
    Disk& disk;
    const Settings& settings;
    EventHistory& events;
    bool demo = false;
    std::shared_ptr<FaultPlan> faults;  // null unless injecting was asked for
    bool poll = false;                  // -o poll
};

// The answer to the last message, for those who write and read with two opens (echo, then cat).
class LastAnswer {
public:
    void put(const std::string& text) {
        const std::lock_guard lock(mutex_);
        text_ = text;
    }
    std::string get() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }

private:
    mutable std::mutex mutex_;
    std::string text_;
};

struct ControlFile {
    std::string name;
    bool parameter;  // in control/params/
    mode_t mode;
    // Any thread; the disk may block it for a moment, but not on I/O. Throws bad_alloc.
    std::function<std::unique_ptr<ControlReading>()> open;
    // What can be written has one of these two:
    // it takes one write() whole or not at all: 0 or a positive errno;
    std::function<int(const std::string& text)> write = nullptr;
    // or the write amounts to this message, whose answer decides.
    std::function<std::string(const std::string& text)> message = nullptr;
    bool answers = false;  // it reads as the answer from 0 on: control/message
    // Of files that can be waited for: a number that changes with what they read as.
    std::function<std::uint64_t()> version = nullptr;
    // Of files whose size is known beforehand.
    std::function<EventHistory::Extent()> extent = nullptr;

    bool writable() const { return write || message; }
};

// Those that exist in this mount, always in the same order.
std::vector<ControlFile> control_files(const ControlContext& context, const LastAnswer& answer);

}  // namespace dmremap
