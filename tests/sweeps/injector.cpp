// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/injector.h"

#include <cstring>

namespace dmremap::test {

namespace {

// What a failed read leaves behind: whoever uses it in spite of the error is caught.
constexpr int kGarbage = 0xDB;

class InjectedDevice final : public Device {
public:
    InjectedDevice(std::unique_ptr<Device> inner, Injection::On role, Injector& injector)
        : inner_(std::move(inner)), role_(role), injector_(injector) {}

    const DeviceInfo& info() const override { return inner_->info(); }

    void submit(Io& io) override {
        if (!injector_.strikes(role_, io.op)) {
            inner_->submit(io);
            return;
        }
        const int error = injector_.error();
        if (io.op == Op::read) std::memset(io.data, kGarbage, io.length);
        const std::uint32_t unit = inner_->info().logical_block;
        if (io.op == Op::write && injector_.injection().torn && io.length > unit)
            inner_->write(io.offset, io.data, unit);  // whether that works does not matter
        io.complete(error);
    }

private:
    const std::unique_ptr<Device> inner_;
    const Injection::On role_;
    Injector& injector_;
};

}  // namespace

std::string Injection::name() const {
    return std::string(on == main    ? "main"
                       : on == spare ? "spare"
                                     : "both") +
           " call " + std::to_string(call) + (goes_on ? " and all after it " : " ") +
           strerrorname_np(error) + (torn ? " torn" : "");
}

void Injector::begin(const Injection& injection) {
    injection_ = injection;
    calls_ = hits_ = flush_hits_ = 0;
    ended_ = false;
}

bool Injector::strikes(Injection::On role, Op op) {
    if (ended_ || (injection_.on & role) == 0 || op != injection_.only.value_or(op)) return false;
    const std::uint64_t call = ++calls_;
    const bool later = injection_.goes_on && injection_.call != 0 && call > injection_.call;
    if (call != injection_.call && !later) return false;
    ++hits_;
    if (op == Op::flush) ++flush_hits_;
    return true;
}

std::unique_ptr<Device> Injector::wrap(std::unique_ptr<Device> inner, Injection::On role) {
    return std::make_unique<InjectedDevice>(std::move(inner), role, *this);
}

}  // namespace dmremap::test
