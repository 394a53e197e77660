// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/ring_server.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "core/refusal.h"
#include "fuse/reply_channel.h"

namespace dmremap {

namespace {

// What lies in memory is served at once, by as many threads as there are users waiting.
constexpr unsigned kLeastLoops = 4, kMostLoops = 16;
// For what is not the disk's data; one of them may be busy for long with a command.
constexpr unsigned kOtherThreads = 4;

}  // namespace

int RingServer::clone_channel(int session) {
    UniqueFd clone(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    auto master = static_cast<std::uint32_t>(session);
    if (!clone || ::ioctl(clone.get(), FUSE_DEV_IOC_CLONE, &master) != 0)
        throw Refusal(
            RefusalKind::system,
            std::string("the mount's descriptor cannot be cloned: ") + std::strerror(errno));
    return clones_.emplace_back(std::move(clone)).get();
}

RingServer::RingServer(Filesystem& filesystem, fuse_session& session, unsigned most_loops)
    : session_(session), others_(kOtherThreads) {
    const unsigned loops = std::min(
        most_loops, std::clamp(std::thread::hardware_concurrency(), kLeastLoops, kMostLoops));
    const auto elsewhere = [this](DataSlot& slot, std::size_t length) {
        handle_elsewhere(slot, length);
    };
    const int session_channel = fuse_session_fd(&session);
    for (unsigned i = 0; i < loops; i++) {
        const int waiting = i == 0 ? session_channel : clone_channel(session_channel);
        const int not_waiting = clone_channel(session_channel);
        ::fcntl(not_waiting, F_SETFL, ::fcntl(not_waiting, F_GETFL) | O_NONBLOCK);
        loops_.push_back(
            std::make_unique<RingLoop>(filesystem, slots_, waiting, not_waiting, elsewhere));
    }
    if (const int error = ReplyChannel::route(session))
        throw Refusal(RefusalKind::system,
                      std::string("libfuse cannot be told how to answer: ") + std::strerror(error));
}

// The first message is where kernel and libfuse agree on a protocol; none other comes before it is
// answered.
int RingServer::greet() {
    fuse_buf message{};
    const int received = fuse_session_receive_buf(&session_, &message);
    if (received > 0) fuse_session_process_buf(&session_, &message);
    std::free(message.mem);
    return received < 0 ? -received : received == 0 ? ENODEV : 0;
}

int RingServer::serve() {
    if (const int error = greet()) return error == ENODEV ? 0 : error;
    std::atomic<int> result{0};
    {
        std::vector<std::jthread> threads;
        for (const auto& loop : loops_)
            threads.emplace_back([&result, &loop] {
                if (const int error = loop->run()) {
                    result = error;
                    spdlog::error("a loop that serves the mount ended: {}", std::strerror(error));
                }
            });
    }
    slots_.wait_for_all();
    if (const std::uint64_t lost = slots_.undelivered())
        spdlog::error("the kernel did not take {} answers in all", lost);
    return result;
}

void RingServer::handle_elsewhere(DataSlot& slot, std::size_t length) {
    slot.request.length = length;
    others_.run(
        [](void* self, void* argument) {
            auto& server = *static_cast<RingServer*>(self);
            DataSlot& taken = *static_cast<DataSlot*>(argument);
            {
                const ReplyChannel channel({.descriptor = taken.channel, .request = taken.unique});
                fuse_buf message{};
                message.mem = taken.message();
                message.size = taken.request.length;
                fuse_session_process_buf(&server.session_, &message);
            }
            server.slots_.give_back(&taken);
        },
        this, &slot);
}

}  // namespace dmremap
