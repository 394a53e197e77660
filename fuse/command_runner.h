// SPDX-License-Identifier: GPL-2.0-or-later
// Messages under way. Those that may wait for devices get a thread each, a few at a time: the
// threads that take requests from the kernel must never wait for the disk, or reads and writes
// would wait with them.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "core/command/execute.h"

namespace dmremap {

class CommandRunner {
public:
    using Reply = std::function<void(const CommandAnswer&)>;

    explicit CommandRunner(CommandContext context) : context_(context) {}

    // Waits for what is under way. A salvage ends only by itself or when the disk is closed.
    ~CommandRunner();
    CommandRunner(const CommandRunner&) = delete;
    CommandRunner& operator=(const CommandRunner&) = delete;

    // Parses and carries out; calls `reply` once, from here or from a thread. `interrupted` is
    // asked during long work, until the reply. Any thread.
    void run(const std::string& message, std::function<bool()> interrupted, Reply reply);

    // Nobody waits for answers any more: ENODEV to all that are due, at once; their work ends soon.
    void abandon();

private:
    static constexpr std::size_t kMostAtOnce = 8;

    struct Work {
        Command command;
        std::function<bool()> interrupted;
        Reply reply;  // empty once it was called
        bool done = false;
        std::thread thread;
    };

    void carry_out(Work& work);
    void reap();  // with the mutex held

    const CommandContext context_;
    std::mutex mutex_;
    std::list<Work> works_;
    bool abandoned_ = false;
};

}  // namespace dmremap
