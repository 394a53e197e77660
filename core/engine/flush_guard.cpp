// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/flush_guard.h"

#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

namespace dmremap {

namespace {

class FlushGuard final : public Device {
public:
    FlushGuard(std::unique_ptr<Device> inner, std::function<void(const DeviceInfo&, int)> failed)
        : failed_(std::move(failed)), inner_(std::move(inner)) {}

    const DeviceInfo& info() const override { return inner_->info(); }

    void submit(Io& io) override {
        if (io.op != Op::flush) {
            inner_->submit(io);
            return;
        }
        Stage before = Stage::failed;
        {
            const std::lock_guard lock(mutex_);
            before = stage_;
            if (before != Stage::failed) {
                io.device = waiting_;
                waiting_ = &io;
                stage_ = Stage::asking;
            }
        }
        if (before == Stage::failed) {
            io.complete(EIO);
        } else if (before == Stage::idle) {
            ask();
        }
    }

private:
    enum class Stage : std::uint8_t { idle, asking, failed };

    // For all that wait by now; then for those that came meanwhile, until none waits. A flush ends
    // when submit() has returned and the answer is there; whoever comes last goes on.
    void ask() {
        do {
            {
                const std::lock_guard lock(mutex_);
                asked_ = std::exchange(waiting_, nullptr);
            }
            io_ = Io{};
            io_.op = Op::flush;
            io_.context = this;
            io_.done = [](Io& io) { static_cast<FlushGuard*>(io.context)->answered(io.error); };
            ends_ = 2;
            inner_->submit(io_);
        } while (--ends_ == 0 && more());
    }

    bool more() {
        const std::lock_guard lock(mutex_);
        if (stage_ == Stage::asking && waiting_ == nullptr) {
            stage_ = Stage::idle;
        }
        return stage_ == Stage::asking;
    }

    // With the last completion the guard may be gone.
    void answered(int error) {
        Io *asked = nullptr, *waited = nullptr;
        if (error != 0) {
            failed_(info(), error);
        }
        {
            const std::lock_guard lock(mutex_);
            asked = std::exchange(asked_, nullptr);
            if (error != 0) {
                stage_ = Stage::failed;
                waited = std::exchange(waiting_, nullptr);
            }
        }
        if (--ends_ == 0 && more()) {
            ask();
        }
        complete(asked, error);
        complete(waited, EIO);
    }

    static void complete(Io* io, int error) {
        while (io != nullptr) {
            Io& ended = *std::exchange(io, static_cast<Io*>(io->device));
            ended.complete(error);
        }
    }

    std::function<void(const DeviceInfo&, int)> failed_;
    std::mutex mutex_;  // the next three
    Stage stage_ = Stage::idle;
    Io* waiting_ = nullptr;  // linked through their `device`
    Io* asked_ = nullptr;    // likewise: for whom the device flushes
    Io io_;
    std::atomic<int> ends_{0};
    const std::unique_ptr<Device> inner_;  // ended first, with its threads
};

}  // namespace

std::unique_ptr<Device> make_flush_guard(std::unique_ptr<Device> inner,
                                         std::function<void(const DeviceInfo&, int)> failed) {
    return std::make_unique<FlushGuard>(std::move(inner), std::move(failed));
}

}  // namespace dmremap
