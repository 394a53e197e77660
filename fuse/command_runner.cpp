// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/command_runner.h"

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

namespace dmremap {

namespace {

constexpr const char* kClosing = "the disk is being closed";

}  // namespace

CommandRunner::~CommandRunner() {
    abandon();
    for (Work& work : works_) work.thread.join();
}

void CommandRunner::reap() {
    for (auto work = works_.begin(); work != works_.end();) {
        if (!work->done) {
            ++work;
            continue;
        }
        work->thread.join();
        work = works_.erase(work);
    }
}

void CommandRunner::run(const std::string& message, std::function<bool()> interrupted,
                        Reply reply) {
    CommandAnswer refusal;
    const auto command = parse_command(message, refusal.sentence);
    if (!command) {
        refusal.error = EINVAL;
        reply(refusal);
        return;
    }
    if (!command_blocks(*command)) {
        reply(execute_command(context_, *command, nullptr));
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        reap();
        if (!abandoned_ && works_.size() < kMostAtOnce) {
            // Among the others only when it has a thread, for each of them is joined.
            std::list<Work> one(1);
            Work& work = one.front();
            work.command = *command;
            work.interrupted = std::move(interrupted);
            work.reply = reply;
            try {
                work.thread = std::thread([this, &work] { carry_out(work); });
                works_.splice(works_.end(), one);
                return;
            } catch (const std::system_error&) {
            }
        }
        refusal.error = abandoned_ ? ENODEV : EBUSY;
        refusal.sentence =
            abandoned_ ? kClosing : "too many messages are under way; try again later";
    }
    reply(refusal);
}

void CommandRunner::carry_out(Work& work) {
    const auto cancelled = [this, &work] {
        const std::lock_guard lock(mutex_);
        return abandoned_ || (work.interrupted && work.interrupted());
    };
    CommandAnswer answer;
    try {
        answer = execute_command(context_, work.command, cancelled);
    } catch (const std::bad_alloc&) {
        answer.error = ENOMEM;  // without words, for they need memory
    }
    // The reply is sent under the lock: abandon() must not return while one is on its way.
    const std::lock_guard lock(mutex_);
    if (work.reply) work.reply(answer);
    work.reply = nullptr;
    work.done = true;
}

void CommandRunner::abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    CommandAnswer closing{ENODEV, "", ""};
    try {
        closing.sentence = kClosing;
    } catch (const std::bad_alloc&) {
    }
    for (Work& work : works_)
        if (work.reply) std::exchange(work.reply, nullptr)(closing);
}

}  // namespace dmremap
