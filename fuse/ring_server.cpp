// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/ring_server.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <thread>

#include "core/refusal.h"
#include "fuse/init_exchange.h"
#include "fuse/reply_channel.h"

namespace dmremap {

namespace {

// What lies in memory is served at once, by as many threads as there are users waiting.
constexpr unsigned kLeastLoops = 4, kMostLoops = 16;
// For what is not the disk's data; one of them may be busy for long with a command.
constexpr unsigned kOtherThreads = 4;

[[noreturn]] void refuse_io_uring() {
    constexpr char kSwitch[] = "/sys/module/fuse/parameters/enable_uring";
    throw Refusal(RefusalKind::system,
                  ::access(kSwitch, F_OK) == 0
                      ? std::string("FUSE over io_uring is switched off: as root, echo Y >") +
                            kSwitch + ", or mount without io_uring=on"
                      : "this kernel has no FUSE over io_uring (Linux 6.14 is the first that may): "
                        "mount without io_uring=on");
}

// Takes libfuse's answer to INIT, and the kernel's offer with it.
class InitAnswer final : public ReplyTaker {
public:
    explicit InitAnswer(int descriptor) : descriptor_(descriptor) {}
    bool agreed() const { return agreed_; }

    void take(const iovec* pieces, int count) override {
        fuse_out_header header;
        std::memcpy(&header, pieces[0].iov_base, sizeof(header));
        const bool taken =
            header.error == 0 && count == 2 &&
            take_io_uring({static_cast<std::byte*>(pieces[1].iov_base), pieces[1].iov_len});
        agreed_ = ::writev(descriptor_, pieces, count) == header.len && taken;
    }

private:
    const int descriptor_;
    bool agreed_ = false;
};

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
    : filesystem_(filesystem), session_(session), most_loops_(most_loops), others_(kOtherThreads) {
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

void RingServer::greet(IoUring wanted) {
    fuse_buf message{};
    const int received = fuse_session_receive_buf(&session_, &message);
    const std::unique_ptr<void, decltype(&std::free)> memory(message.mem, &std::free);
    if (received <= 0) {
        greeting_ = received < 0 ? -received : ENODEV;
        return;
    }
    const std::span bytes(static_cast<const std::byte*>(message.mem), message.size);
    prepare_io_uring(wanted, offers_io_uring(bytes));
    if (!uring_) {
        fuse_session_process_buf(&session_, &message);
        return;
    }
    fuse_in_header header;
    std::memcpy(&header, message.mem, sizeof(header));
    InitAnswer answer(fuse_session_fd(&session_));
    {
        const ReplyChannel channel({.request = header.unique, .taker = &answer});
        fuse_session_process_buf(&session_, &message);
    }
    if (!answer.agreed()) {
        uring_.reset();
        if (wanted == IoUring::on)
            throw Refusal(
                RefusalKind::system,
                "this libfuse answers in a protocol that has no FUSE over io_uring: mount "
                "without io_uring=on");
        return;
    }
    uring_->start();
    spdlog::info("requests come by FUSE over io_uring");
}

void RingServer::prepare_io_uring(IoUring wanted, bool offered) {
    if (wanted == IoUring::off) return;
    try {
        if (!offered) refuse_io_uring();
        uring_.emplace(filesystem_, fuse_session_fd(&session_), most_loops_,
                       [this](UringRequest& request) { handle_elsewhere(request); });
    } catch (const std::exception& error) {
        if (wanted == IoUring::on) throw;
        spdlog::debug("{}", error.what());
    }
}

int RingServer::serve() {
    if (greeting_ != 0) return greeting_ == ENODEV ? 0 : greeting_;
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
    if (uring_) uring_->end();
    slots_.wait_for_all();
    if (const std::uint64_t lost = slots_.undelivered())
        spdlog::error("the kernel did not take {} answers in all", lost);
    return result;
}

void RingServer::handle_elsewhere(UringRequest& request) {
    others_.run(
        [](void* self, void* argument) {
            auto& server = *static_cast<RingServer*>(self);
            UringRequest& taken = *static_cast<UringRequest*>(argument);
            {
                const ReplyChannel channel(
                    {.request = taken.entry.header().unique, .taker = &taken});
                fuse_buf message{};
                message.mem = taken.entry.message();
                message.size = taken.entry.message_length();
                fuse_session_process_buf(&server.session_, &message);
            }
            taken.loop->release(taken);
        },
        this, &request);
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
