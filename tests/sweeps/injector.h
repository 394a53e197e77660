// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the k-th call to main, to the spare, or to either of them fail; once, or from then on.
//
// (The fault plan of the core numbers the calls of each device for itself and does not say when it
// has struck.) Discards are counted, but a failing one is only not done: it is a hint. Any thread.
#pragma once

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "core/device/device.h"
#include "tests/sweeps/trouble.h"

namespace dmremap::test {

struct Injection {
    enum On { main = 1, spare = 2, both = 3 };
    On on = both;
    std::uint64_t call = 0;  // from 1; 0: none fails
    bool goes_on = false;
    int error = EIO;
    bool torn = false;  // of a write that fails the first logical block is written all the same
    std::optional<Op> only{};  // only such calls are counted and fail

    std::string name() const;
};

class Injector final : public Trouble {
public:
    // Counts from now on; the devices must be idle.
    void begin(const Injection& injection);

    // The device must not outlive this.
    std::unique_ptr<Device> wrap(std::unique_ptr<Device> inner, Injection::On role);

    std::uint64_t calls() const { return calls_; }  // that could have been hit
    std::uint64_t hits() const override { return hits_; }
    std::uint64_t flush_hits() const override { return flush_hits_; }
    bool goes_on() const override { return injection_.goes_on; }
    int error() const override { return injection_.error; }
    bool places_are_bad() const override {
        return injection_.goes_on && injection_.only == Op::write && injection_.error == EIO;
    }
    void end() override { ended_ = true; }
    const Injection& injection() const { return injection_; }

    // For the devices: does this call fail?
    bool strikes(Injection::On role, Op op);

private:
    Injection injection_;
    std::atomic<bool> ended_{true};
    std::atomic<std::uint64_t> calls_{0}, hits_{0}, flush_hits_{0};
};

}  // namespace dmremap::test
