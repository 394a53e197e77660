// SPDX-License-Identifier: GPL-2.0-or-later
// Who waits in poll(2) for a control file to change. Any thread.
#pragma once

#include <mutex>
#include <unordered_map>
#include <utility>

#include "fuse/fuse_api.h"

namespace dmremap {

class Pollers {
public:
    Pollers() = default;
    ~Pollers() { forget_all(); }
    Pollers(const Pollers&) = delete;
    Pollers& operator=(const Pollers&) = delete;

    // Takes `handle` over: the next wake() wakes the open file. The kernel gives a new one with
    // each question; one a file is enough. Throws bad_alloc, and then the handle is gone.
    void add(const void* open_file, fuse_pollhandle* handle) {
        const std::lock_guard lock(mutex_);
        try {
            destroy(std::exchange(waiting_[open_file], handle));
        } catch (...) {
            destroy(handle);
            throw;
        }
    }

    void forget(const void* open_file) {
        const std::lock_guard lock(mutex_);
        const auto waiting = waiting_.find(open_file);
        if (waiting == waiting_.end()) return;
        destroy(waiting->second);
        waiting_.erase(waiting);
    }

    // All ask again. The session must exist.
    void wake() {
        const std::lock_guard lock(mutex_);
        for (const auto& [open_file, handle] : waiting_) {
            fuse_lowlevel_notify_poll(handle);
            fuse_pollhandle_destroy(handle);
        }
        waiting_.clear();
    }

private:
    static void destroy(fuse_pollhandle* handle) {
        if (handle) fuse_pollhandle_destroy(handle);
    }
    void forget_all() {
        for (const auto& [open_file, handle] : waiting_) destroy(handle);
    }

    std::mutex mutex_;
    std::unordered_map<const void*, fuse_pollhandle*> waiting_;
};

}  // namespace dmremap
