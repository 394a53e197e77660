// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/flush_guard.h"

#include <atomic>
#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

namespace dmremap {

namespace {

class FlushGuard final : public Device {
public:
    FlushGuard(std::unique_ptr<Device> inner, std::function<void(const DeviceInfo&, int)> failed)
        : inner_(std::move(inner)), failed_(std::move(failed)) {}

    const DeviceInfo& info() const override { return inner_->info(); }

    void submit(Io& io) override {
        if (io.op != Op::flush) {
            inner_->submit(io);
            return;
        }
        if (stage_.load(std::memory_order_acquire) != Stage::whole) {
            fail(io, EIO);
            return;
        }
        auto* const asked = new (std::nothrow) Asked{*this, io, {}};
        if (asked == nullptr) {
            answered(io, ENOMEM);
            return;
        }
        asked->inner.op = Op::flush;
        asked->inner.context = asked;
        asked->inner.done = [](Io& done) {
            const std::unique_ptr<Asked> mine(static_cast<Asked*>(done.context));
            mine->guard.answered(mine->outer, done.error);
        };
        inner_->submit(asked->inner);
    }

private:
    struct Asked {
        FlushGuard& guard;
        Io& outer;
        Io inner;
    };

    enum class Stage : std::uint8_t { whole, telling, told };

    void answered(Io& outer, int error) {
        // A flush that began before another one failed may have been told the lie.
        if (error == 0 && stage_.load(std::memory_order_acquire) == Stage::whole) {
            outer.complete(0);
        } else {
            fail(outer, error != 0 ? error : EIO);
        }
    }

    // The first one tells; who comes meanwhile is completed after that, and waited for by nobody.
    void fail(Io& outer, int error) {
        Io* waited = nullptr;
        {
            std::unique_lock lock(mutex_);
            if (stage_ == Stage::telling) {
                outer.device = waiting_;
                outer.error = error;
                waiting_ = &outer;
                return;
            }
            if (stage_ == Stage::whole) {
                stage_ = Stage::telling;
                lock.unlock();
                failed_(info(), error);
                lock.lock();
                stage_ = Stage::told;
                waited = std::exchange(waiting_, nullptr);
            }
        }
        while (waited != nullptr) {
            Io& io = *std::exchange(waited, static_cast<Io*>(waited->device));
            io.complete(io.error);
        }
        outer.complete(error);
    }

    std::unique_ptr<Device> inner_;
    std::function<void(const DeviceInfo&, int)> failed_;
    std::atomic<Stage> stage_{Stage::whole};  // changed with the mutex held
    std::mutex mutex_;
    Io* waiting_ = nullptr;  // linked through their `device`; for failed_ to have run
};

}  // namespace

std::unique_ptr<Device> make_flush_guard(std::unique_ptr<Device> inner,
                                         std::function<void(const DeviceInfo&, int)> failed) {
    return std::make_unique<FlushGuard>(std::move(inner), std::move(failed));
}

}  // namespace dmremap
