// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/flush_guard.h"

#include <atomic>
#include <cerrno>
#include <new>

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
        if (broken_.load(std::memory_order_acquire)) {
            io.complete(EIO);
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

    void answered(Io& outer, int error) {
        if (error != 0 && !broken_.exchange(true, std::memory_order_acq_rel)) {
            failed_(info(), error);
        }
        // A flush that began before another one failed may have been told the lie.
        outer.complete(error == 0 && broken_.load(std::memory_order_acquire) ? EIO : error);
    }

    std::unique_ptr<Device> inner_;
    std::function<void(const DeviceInfo&, int)> failed_;
    std::atomic<bool> broken_{false};
};

}  // namespace

std::unique_ptr<Device> make_flush_guard(std::unique_ptr<Device> inner,
                                         std::function<void(const DeviceInfo&, int)> failed) {
    return std::make_unique<FlushGuard>(std::move(inner), std::move(failed));
}

}  // namespace dmremap
