// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the plan before each call. A healthy call goes to the inner device as it came; a write that
// fails half way is a chain of calls of its own, so an inner device that completes later on
// another thread is never waited for.
#include "core/device/fault_device.h"

#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "core/device/delay_line.h"
#include "core/device/fault_plan.h"
#include "core/device/fault_rules.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kSector = 512;
// What a failed read leaves in the caller's memory, and a garbled write on the device: whoever uses
// it anyway is caught.
constexpr int kGarbage = 0xDB;

FaultRole role_named(const std::string& word) {
    if (word == "main") return FaultRole::main;
    if (word == "spare") return FaultRole::spare;
    throw Refusal(RefusalKind::usage,
                  "A fault device is for main or spare; found the role \"" + word + "\"");
}

// The part of a failing write that reaches the device: first the sectors it writes all the same,
// then one block of garbage. Owns itself until the caller's write is completed.
class TornWrite {
public:
    static void start(Device& inner, Io& write, const FaultVerdict& verdict) {
        (new TornWrite(inner, write, verdict))->step();
    }

private:
    TornWrite(Device& inner, Io& write, const FaultVerdict& verdict)
        : inner_(inner), write_(write), verdict_(verdict) {
        io_.context = this;
        io_.done = [](Io& io) { static_cast<TornWrite*>(io.context)->step(); };
    }

    // Whether a part worked does not matter: the write is reported as failed.
    void step() {
        const std::uint64_t written = verdict_.written * kSector;
        if (written != 0 && !prefix_done_) {
            prefix_done_ = true;
            io_.op = write_.op;
            io_.offset = write_.offset;
            io_.length = written;
            io_.data = write_.data;
            inner_.submit(io_);
        } else if (verdict_.garble && garbage_.empty()) {
            garbage_.assign(inner_.info().logical_block, std::byte{kGarbage});
            io_.op = Op::write;
            io_.offset = write_.offset + written;
            io_.length = garbage_.size();
            io_.data = garbage_.data();
            inner_.submit(io_);
        } else {
            Io& write = write_;
            const int error = verdict_.error;
            delete this;
            write.complete(error);
        }
    }

    Device& inner_;
    Io& write_;
    const FaultVerdict verdict_;
    Io io_;
    bool prefix_done_ = false;
    std::vector<std::byte> garbage_;
};

class FaultDevice final : public Device {
public:
    FaultDevice(std::unique_ptr<Device> inner, FaultRole role, std::shared_ptr<FaultPlan> plan)
        : inner_(std::move(inner)), role_(role), plan_(std::move(plan)), info_(inner_->info()) {
        if (!info_.note.empty()) info_.note += "; ";
        info_.note += "faults are injected";
    }

    const DeviceInfo& info() const override { return info_; }

    void submit(Io& io) override {
        plan_->count(role_, io.op);
        if (!plan_->has_rules(role_) || !inside(io)) {
            inner_->submit(io);
            return;
        }
        const FaultCall call{
            .op = io.op,
            .first = io.offset / kSector,
            .end = (io.offset + io.length) / kSector,
            .unit = info_.logical_block / kSector,
        };
        const FaultVerdict verdict = plan_->judge(role_, call);
        if (verdict.delay_ms != 0)
            delayed_.after(std::chrono::milliseconds(verdict.delay_ms),
                           [this, &io, verdict] { carry_out(io, verdict); });
        else
            carry_out(io, verdict);
    }

private:
    // What is not a call by the rules is the inner device's to refuse.
    bool inside(const Io& io) const {
        if (io.op == Op::flush) return true;
        return io.length != 0 && io.length <= info_.size && io.offset <= info_.size - io.length &&
               (io.offset | io.length) % info_.logical_block == 0;
    }

    void carry_out(Io& io, const FaultVerdict& verdict) {
        if (verdict.error == 0) {
            inner_->submit(io);
            return;
        }
        if (io.op == Op::read) std::memset(io.data, kGarbage, io.length);
        if (verdict.written != 0 || verdict.garble)
            TornWrite::start(*inner_, io, verdict);
        else
            io.complete(verdict.error);
    }

    const std::unique_ptr<Device> inner_;
    const FaultRole role_;
    const std::shared_ptr<FaultPlan> plan_;
    DeviceInfo info_;
    DelayLine delayed_;  // last, so that it ends before what its calls use
};

}  // namespace

std::unique_ptr<Device> make_fault_device(std::unique_ptr<Device> inner, std::string role,
                                          std::shared_ptr<FaultPlan> plan) {
    return std::make_unique<FaultDevice>(std::move(inner), role_named(role), std::move(plan));
}

}  // namespace dmremap
