// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/medium.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

namespace dmremap::test {

namespace {

// What a failed read leaves behind: whoever uses it in spite of the error is caught.
constexpr int kGarbage = 0xDB;

}  // namespace

class MediumDevice final : public Device {
public:
    MediumDevice(std::shared_ptr<Medium> medium, std::uint64_t life)
        : medium_(std::move(medium)), info_(medium_->info()), life_(life) {}
    const DeviceInfo& info() const override { return info_; }
    void submit(Io& io) override { medium_->submit(io, life_); }

private:
    const std::shared_ptr<Medium> medium_;
    const DeviceInfo info_;
    const std::uint64_t life_;
};

Medium::Medium(std::string name, std::uint64_t size, std::uint32_t logical_block,
               std::uint32_t physical_block, std::shared_ptr<Power> power)
    : power_(std::move(power)), bytes_(size) {
    info_.identity = "serial=" + name + "\nsize=" + std::to_string(size) + "\n";
    info_.name = std::move(name);
    info_.size = size;
    info_.logical_block = logical_block;
    info_.physical_block = physical_block;
}

std::unique_ptr<Device> Medium::device() {
    return std::make_unique<MediumDevice>(shared_from_this(), power_->life());
}

void Medium::set_identity(const std::string& text) { info_.identity = text; }

void Medium::set_size(std::uint64_t size) {
    info_.size = std::min<std::uint64_t>(size, bytes_.size());
}

void Medium::set_name(const std::string& name) { info_.name = name; }

std::vector<std::byte> Medium::peek(std::uint64_t offset, std::uint64_t length) const {
    const std::lock_guard lock(mutex_);
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(offset);
    return {from, from + static_cast<std::ptrdiff_t>(length)};
}

void Medium::poke(std::uint64_t offset, const void* data, std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    std::memcpy(bytes_.data() + offset, data, length);
}

void Medium::restore(const std::vector<std::byte>& bytes) {
    const std::lock_guard lock(mutex_);
    unflushed_.clear();
    bytes_ = bytes;
}

void Medium::set_cache(bool on) {
    const std::lock_guard lock(mutex_);
    cache_ = on;
    if (!on) unflushed_.clear();
}

bool Medium::dirty(std::uint64_t offset, std::uint64_t length) const {
    const std::lock_guard lock(mutex_);
    const auto at = unflushed_.lower_bound(offset / kSector);
    return at != unflushed_.end() && at->first * kSector < offset + length;
}

void Medium::set_tears(bool tears) {
    const std::lock_guard lock(mutex_);
    tears_ = tears;
}

void Medium::lose(std::mt19937_64* chance) {
    const std::lock_guard lock(mutex_);
    std::set<std::uint64_t> torn;  // physical blocks that may be
    for (const auto& [sector, versions] : unflushed_) {
        const std::size_t kept = chance ? (*chance)() % versions.size() : 0;
        std::memcpy(bytes_.data() + sector * kSector, versions[kept].data(), kSector);
        torn.insert(sector * kSector / info_.physical_block);
    }
    unflushed_.clear();
    if (!tears_ || !chance) return;
    const std::uint64_t pen = (*chance)() % (torn.size() + 1);
    if (pen == torn.size()) return;
    const std::uint64_t begin =
        *std::next(torn.begin(), static_cast<std::ptrdiff_t>(pen)) * info_.physical_block;
    const std::uint64_t end = std::min<std::uint64_t>(begin + info_.physical_block, bytes_.size());
    std::memset(bytes_.data() + begin, kGarbage, end - begin);
}

void Medium::set_fault(std::uint64_t sector, std::uint64_t count, const Fault& fault) {
    const std::lock_guard lock(mutex_);
    for (std::uint64_t s = sector; s < sector + count; ++s) faults_[s] = fault;
}

void Medium::heal(std::uint64_t sector, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    faults_.erase(faults_.lower_bound(sector), faults_.lower_bound(sector + count));
}

void Medium::heal_all() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
}

std::map<std::uint64_t, Fault> Medium::faults() const {
    const std::lock_guard lock(mutex_);
    return faults_;
}

bool Medium::has_faults() const {
    const std::lock_guard lock(mutex_);
    return !faults_.empty();
}

void Medium::set_discard_keeps(bool keeps) {
    const std::lock_guard lock(mutex_);
    discard_keeps_ = keeps;
}

void Medium::on_failure(OnFailure on_failure) { on_failure_ = std::move(on_failure); }
void Medium::on_success(OnSuccess on_success) { on_success_ = std::move(on_success); }

std::uint64_t Medium::failed_calls() const {
    const std::lock_guard lock(mutex_);
    return failed_calls_;
}

void Medium::set_hook(Hook hook) {
    auto next = hook ? std::make_shared<Hooked>(Hooked{std::move(hook)}) : nullptr;
    std::unique_lock lock(mutex_);
    const std::shared_ptr<Hooked> before = std::exchange(hook_, std::move(next));
    if (before) changed_.wait(lock, [&] { return before->inside == 0; });
}

bool Medium::wait_held(std::size_t calls) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_.size() >= calls || stopped_waiting_; });
    return held_.size() >= calls;
}

void Medium::stop_waiting() {
    const std::lock_guard lock(mutex_);
    stopped_waiting_ = true;
    changed_.notify_all();
}

std::size_t Medium::held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
}

void Medium::release(std::size_t calls) {
    std::vector<Held> held;
    {
        const std::lock_guard lock(mutex_);
        const auto end = held_.begin() + static_cast<std::ptrdiff_t>(std::min(calls, held_.size()));
        held.assign(held_.begin(), end);
        held_.erase(held_.begin(), end);
    }
    for (const Held& one : held)
        one.io->complete(power_->count(one.life) ? carry_out(*one.io) : ENODEV);
}

void Medium::set_log(std::shared_ptr<Log> log) {
    const std::lock_guard lock(mutex_);
    log_ = std::move(log);
}

// Asked without the lock, for a hook may look at the medium; but the call is counted as inside
// until it is among the held ones, so that nobody who takes the hook away can miss it.
int Medium::ask_hook(Io& io, std::uint64_t life) {
    std::unique_lock lock(mutex_);
    const std::shared_ptr<Hooked> hook = hook_;
    if (!hook) return kPass;
    ++hook->inside;
    lock.unlock();
    const int verdict = hook->ask({this, io.op, io.offset, io.length});
    lock.lock();
    if (verdict == kHold) held_.push_back({&io, life});
    --hook->inside;
    changed_.notify_all();
    return verdict;
}

void Medium::submit(Io& io, std::uint64_t life) {
    const int verdict = ask_hook(io, life);
    if (verdict == kHold) return;
    if (!power_->count(life)) {
        io.complete(ENODEV);
        return;
    }
    if (verdict != kPass) {
        if (io.op == Op::read) std::memset(io.data, kGarbage, io.length);
        {
            const std::lock_guard lock(mutex_);
            ++failed_calls_;
        }
        io.complete(verdict);
        return;
    }
    io.complete(carry_out(io));
}

void Medium::store(std::uint64_t offset, const std::byte* data, std::uint64_t length) {
    if (cache_) {
        for (std::uint64_t at = 0; at < length; at += kSector) {
            auto& versions = unflushed_[(offset + at) / kSector];
            Bytes version;
            if (versions.empty()) {
                std::memcpy(version.data(), bytes_.data() + offset + at, kSector);
                versions.push_back(version);
            }
            if (data)
                std::memcpy(version.data(), data + at, kSector);
            else
                version.fill(std::byte{0});
            versions.push_back(version);
        }
    }
    if (data)
        std::memcpy(bytes_.data() + offset, data, length);
    else
        std::memset(bytes_.data() + offset, 0, length);
}

int Medium::judge(const Io& io) {
    const std::uint64_t unit = info_.logical_block / kSector;
    const std::uint64_t first = io.offset / kSector, end = (io.offset + io.length) / kSector;
    const bool reading = io.op == Op::read;
    int error = 0;
    std::uint64_t good_until = end, reported_end = 0;
    for (auto at = faults_.lower_bound(first); at != faults_.end() && at->first < end;) {
        Fault& fault = at->second;
        const bool hit = reading ? fault.read : fault.write;
        if (!hit) {
            ++at;
            continue;
        }
        const std::uint64_t from = at->first / unit * unit;  // one bad sector spoils its block
        if (!error) {
            error = fault.error;
            good_until = from;
        }
        if (on_failure_ && from >= reported_end) {
            on_failure_(io.op, from, unit);
            reported_end = from + unit;
        }
        if (fault.times != 0 && --fault.times == 0)
            at = faults_.erase(at);
        else
            ++at;
    }
    if (error && !reading && good_until > first)
        store(io.offset, io.op == Op::write ? io.data : nullptr, (good_until - first) * kSector);
    if (!reading) {
        for (auto at = faults_.lower_bound(first); at != faults_.end() && at->first < good_until;)
            at = at->second.heals ? faults_.erase(at) : std::next(at);
    }
    if (!error && on_success_) on_success_(io.op, first, end - first);
    return error;
}

int Medium::carry_out(Io& io) {
    const std::lock_guard lock(mutex_);
    if (log_) {
        const std::lock_guard log_lock(log_->mutex);
        log_->calls.push_back({this, io.op, io.offset, io.length});
    }
    if (io.op == Op::flush) {
        unflushed_.clear();
        return 0;
    }
    if (io.length > info_.size || io.offset > info_.size - io.length ||
        (io.offset | io.length) % info_.logical_block != 0)
        return EINVAL;
    if (io.op != Op::discard) {
        if (const int error = judge(io)) {
            ++failed_calls_;
            if (io.op == Op::read) std::memset(io.data, kGarbage, io.length);
            return error;
        }
    }
    if (io.op == Op::read)
        std::memcpy(io.data, bytes_.data() + io.offset, io.length);
    else if (io.op != Op::discard || !discard_keeps_)
        store(io.offset, io.op == Op::write ? io.data : nullptr, io.length);
    return 0;
}

}  // namespace dmremap::test
