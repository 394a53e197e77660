// SPDX-License-Identifier: GPL-2.0-or-later
// The machine under test: a main and a spare with volatile caches, and the tape of what happens.
//
// Devices complete at once, on the thread that submits, unless they are told to hold calls: then
// those lie in the drive, begun and not ended, until they are released one by one.
//
// Any thread may use the devices and mark(); the rest is for one thread, while no call is under
// way.
#pragma once

#include <boost/container/flat_set.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/device/device.h"
#include "tests/crash/model.h"
#include "tests/crash/tape.h"
#include "tests/crash/volume.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

// Sectors that take no writes, by side.
using Faults = std::array<boost::container::flat_set<std::uint64_t>, 2>;

inline std::size_t index(Side side) { return static_cast<std::size_t>(side); }

// All that a power cut leaves behind, and what its user may expect of it.
struct CrashState {
    std::array<Volume, 2> volumes;
    Faults faults;
    Model model;
};

class Machine {
public:
    explicit Machine(const Shape& shape);

    // Power on, with this content, an empty tape and a model that is kept up to date with it.
    void load(const CrashState& state);
    // The process ends, its caches stay: devices handed out so far answer nothing any more.
    void end_process();
    void end_process_after(std::uint64_t calls);  // so many more calls are answered

    std::unique_ptr<Device> device(Side side);
    const DeviceInfo& info(Side side) const { return info_[index(side)]; }
    const Volume& volume(Side side) const { return state_->volumes[index(side)]; }
    const Faults& faults() const { return state_->faults; }
    const Tape& tape() const { return tape_; }
    const Model& model() const { return state_->model; }
    // While it is held nothing changes, even if calls are under way; mark() waits for it.
    std::unique_lock<std::mutex> still() const { return std::unique_lock(mutex_); }

    // Puts a mark of the user, or a change behind the disk's back, on the tape; returns its place.
    std::uint32_t mark(Mark event);
    void note(const std::string& text);
    std::string last_note() const { return tape_.notes.empty() ? "" : tape_.notes.back().text; }
    std::uint32_t place() const;

    // Which of the disk's blocks lives where: known when nothing is under way.
    void set_homes(const std::vector<RemapInfo>& remaps);
    const std::map<std::uint64_t, RemapInfo>& remaps() const { return remaps_; }  // by block

    // From now on calls that `which` says of are held.
    void hold(std::function<bool(Side, const Io&)> which);
    std::size_t held() const;
    void wait_held() const;           // until some call is
    void release(std::size_t which);  // in order of their coming

    std::uint64_t writes() const;

private:
    class Handle;
    struct Call {
        Io* io;
        Side side;
        std::uint64_t process;
        std::uint32_t began;  // place on the tape
        int error;
    };

    void submit(Side side, Io& io, std::uint64_t process);
    Call begin(Side side, Io& io, std::uint64_t process);  // the rest with the mutex held
    void end(Call& call);
    void begin_write(Call& call);
    int read(Side side, const Io& io) const;
    std::uint32_t append(Mark&& event);
    std::uint32_t home_of(Side side, std::uint64_t sector) const;

    std::array<DeviceInfo, 2> info_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::unique_ptr<CrashState> state_;
    Tape tape_;
    std::map<std::uint64_t, RemapInfo> remaps_;
    std::map<std::uint64_t, std::uint64_t> block_in_;  // block of the spare -> block of main
    std::uint64_t process_ = 1;
    std::uint64_t calls_left_ = ~std::uint64_t{0};
    std::function<bool(Side, const Io&)> holds_;
    std::vector<Call> held_;
    std::uint64_t writes_ = 0, failures_ = 0;
};

}  // namespace dmremap::test
