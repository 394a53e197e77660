// SPDX-License-Identifier: GPL-2.0-or-later
// What lies behind a device of a test and outlives it: bytes, a volatile cache, bad sectors, a log.
//
// Disk::open() takes devices for good, so a test keeps the medium and hands out a new device for
// each open. Without a cache every write is durable at once. With it a write is durable only after
// a flush; lose() drops, or keeps by chance, what was not flushed.
//
// Faults here are by sector and say when they fire, which an oracle needs; the fault device of the
// core is used where a test can say in its language what it wants.
//
// A hook sees each call before anything else and may fail it, or hold it until the test lets it go.
//
// Any thread. The hook runs on the submitting thread without the medium's lock and may not call the
// disk. Held calls complete on the thread that releases them.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/device/device.h"
#include "tests/support/power.h"

namespace dmremap::test {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kBlock = 4096;

struct Call {
    const void* medium;  // which one, for logs that both share
    Op op;
    std::uint64_t offset, length;
};

struct Fault {
    bool read = false;
    bool write = false;
    bool heals = false;  // reads well once written
    unsigned times = 0;  // fails as many calls, then is gone; 0: for ever
    int error = 5 /* EIO */;
};

class Medium : public std::enable_shared_from_this<Medium> {
public:
    static constexpr int kPass = 0;
    static constexpr int kHold = -1;
    using Hook = std::function<int(const Call&)>;  // kPass, kHold or an errno
    // Sectors [first, first + count) could not be read or written; now.
    using OnFailure = std::function<void(Op op, std::uint64_t first, std::uint64_t count)>;
    // Sectors [first, first + count) were read or written.
    using OnSuccess = std::function<void(Op op, std::uint64_t first, std::uint64_t count)>;

    Medium(std::string name, std::uint64_t size, std::uint32_t logical_block,
           std::uint32_t physical_block, std::shared_ptr<Power> power);

    // A device over this medium, alive until the power goes off.
    std::unique_ptr<Device> device();

    const DeviceInfo& info() const { return info_; }
    std::uint64_t size() const { return info_.size; }
    // Changes what devices handed out from now on say of themselves.
    void set_identity(const std::string& text);
    void set_size(std::uint64_t size);  // not above the first one
    void set_name(const std::string& name);

    // What a read would see, behind the back of any device.
    std::vector<std::byte> peek(std::uint64_t offset, std::uint64_t length) const;
    void poke(std::uint64_t offset, const void* data, std::uint64_t length);
    std::vector<std::byte> snapshot() const { return peek(0, bytes_.size()); }
    void restore(const std::vector<std::byte>& bytes);

    // --- volatile cache
    void set_cache(bool on);
    bool dirty(std::uint64_t offset, std::uint64_t length) const;
    // The power is gone: each unflushed sector falls back to what is durable or, with a generator,
    // to any of its versions since.
    void lose(std::mt19937_64* chance = nullptr);
    // From now on lose() with a generator also leaves at most one physical block that had unflushed
    // sectors in it as nonsense, the sectors beside them included: what the pen was on. (Not by
    // default, for a user who writes single sectors to such a disk takes that risk himself.)
    void set_tears(bool tears);

    // --- faults
    void set_fault(std::uint64_t sector, std::uint64_t count, const Fault& fault);
    void heal(std::uint64_t sector, std::uint64_t count);
    void heal_all();
    std::map<std::uint64_t, Fault> faults() const;
    bool has_faults() const;
    // After a discard reads return the old data, or zeros (the default).
    void set_discard_keeps(bool keeps);
    void on_failure(OnFailure on_failure);
    void on_success(OnSuccess on_success);
    std::uint64_t failed_calls() const;

    // --- hook, holding
    // Returns when no call is left inside the hook before it: what that one said has been done, so
    // release() finds every call that was to be held, and nothing of it is used any more. So no
    // hook may call this, nor wait for who does.
    void set_hook(Hook hook);
    // Until so many calls are held, or stop_waiting() was called; false in the latter case.
    bool wait_held(std::size_t calls);
    void stop_waiting();
    std::size_t held() const;
    // Lets the first held calls go, in order of their coming; does not change the hook.
    void release(std::size_t calls = ~std::size_t{0});

    // --- log of calls that were carried out, in order; shared when given to two media
    struct Log {
        mutable std::mutex mutex;
        std::vector<Call> calls;
        std::vector<Call> take() {
            const std::lock_guard lock(mutex);
            return std::exchange(calls, {});
        }
    };
    void set_log(std::shared_ptr<Log> log);

private:
    friend class MediumDevice;
    using Bytes = std::array<std::byte, kSector>;

    struct Hooked {
        Hook ask;
        unsigned inside = 0;  // calls that ask it, until they are held or go on
    };

    void submit(Io& io, std::uint64_t life);
    int ask_hook(Io& io, std::uint64_t life);
    int carry_out(Io& io);
    int judge(const Io& io);  // faults: the error, and what is written before it
    void store(std::uint64_t offset, const std::byte* data, std::uint64_t length);

    DeviceInfo info_;
    const std::shared_ptr<Power> power_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::byte> bytes_;
    bool cache_ = false;
    bool tears_ = false;
    bool discard_keeps_ = false;
    // Versions of each unflushed sector, the durable one first.
    std::map<std::uint64_t, std::vector<Bytes>> unflushed_;
    std::map<std::uint64_t, Fault> faults_;
    std::uint64_t failed_calls_ = 0;
    std::shared_ptr<Hooked> hook_;
    OnFailure on_failure_;
    OnSuccess on_success_;
    struct Held {
        Io* io;
        std::uint64_t life;
    };
    std::vector<Held> held_;
    bool stopped_waiting_ = false;
    std::shared_ptr<Log> log_;
};

}  // namespace dmremap::test
