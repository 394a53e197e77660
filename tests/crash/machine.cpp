// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/machine.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace dmremap::test {

namespace {

// What a failed read leaves behind: whoever uses it in spite of the error is caught.
constexpr int kGarbage = 0xDB;

}  // namespace

class Machine::Handle final : public Device {
public:
    Handle(Machine& machine, Side side)
        : machine_(machine), side_(side), process_(machine.process_) {}
    const DeviceInfo& info() const override { return machine_.info_[index(side_)]; }
    void submit(Io& io) override { machine_.submit(side_, io, process_); }

private:
    Machine& machine_;
    const Side side_;
    const std::uint64_t process_;
};

Machine::Machine(const Shape& shape) {
    const auto describe = [](const char* name, std::uint64_t size, std::uint32_t logical,
                             std::uint32_t physical) {
        DeviceInfo info;
        info.name = name;
        info.size = size;
        info.logical_block = logical;
        info.physical_block = physical;
        info.identity = std::string("serial=") + name + "\nsize=" + std::to_string(size) + "\n";
        return info;
    };
    info_ = {describe("MAIN", shape.main_size, shape.main_logical, shape.main_logical),
             describe("SPARE", shape.spare_size, shape.spare_logical, shape.spare_physical)};
}

void Machine::load(const CrashState& state) {
    const std::lock_guard lock(mutex_);
    if (state_)
        *state_ = state;
    else
        state_ = std::make_unique<CrashState>(state);
    tape_.clear();
    remaps_.clear();
    block_in_.clear();
    ++process_;
    writes_ = failures_ = 0;
}

void Machine::end_process() {
    std::vector<Call> held;
    {
        const std::lock_guard lock(mutex_);
        ++process_;
        calls_left_ = ~std::uint64_t{0};
        held = std::move(held_);
        held_.clear();
        holds_ = nullptr;
        // What lay in the drive ends well or is given up; the next process does not meet it.
        for (Call& call : held) {
            if (call.error == 0 && call.began % 2 == 0)
                end(call);
            else if (call.io->op != Op::read)
                append({.kind = Mark::Kind::given_up, .side = call.side, .id = call.began});
        }
    }
    for (const Call& call : held) call.io->complete(ENODEV);
}

void Machine::end_process_after(std::uint64_t calls) {
    const std::lock_guard lock(mutex_);
    calls_left_ = calls;
}

std::unique_ptr<Device> Machine::device(Side side) { return std::make_unique<Handle>(*this, side); }

std::uint32_t Machine::append(Mark&& event) {
    const std::uint32_t place = tape_.place();
    state_->model.apply(event, place);
    tape_.events.push_back(std::move(event));
    return place;
}

std::uint32_t Machine::mark(Mark event) {
    const std::lock_guard lock(mutex_);
    Volume& volume = state_->volumes[index(event.side)];
    const auto each = [&](auto&& change) {
        for (std::uint64_t s = event.first; s < event.first + event.count; ++s) change(s);
    };
    if (event.kind == Mark::Kind::rotted)
        for (std::size_t i = 0; i < event.cells.size(); ++i)
            volume.put(event.first + i, event.cells[i]);
    else if (event.kind == Mark::Kind::readable)
        each([&](std::uint64_t s) { volume.set_unreadable(s, !event.on); });
    else if (event.kind == Mark::Kind::takes_no && event.on)
        each([&](std::uint64_t s) { state_->faults[index(event.side)].insert(s); });
    else if (event.kind == Mark::Kind::takes_no)
        each([&](std::uint64_t s) { state_->faults[index(event.side)].erase(s); });
    return append(std::move(event));
}

void Machine::note(const std::string& text) {
    const std::lock_guard lock(mutex_);
    tape_.notes.push_back({tape_.place(), text});
}

std::uint32_t Machine::place() const {
    const std::lock_guard lock(mutex_);
    return tape_.place();
}

std::uint64_t Machine::writes() const {
    const std::lock_guard lock(mutex_);
    return writes_;
}

void Machine::set_homes(const std::vector<RemapInfo>& remaps) {
    const std::lock_guard lock(mutex_);
    remaps_.clear();
    block_in_.clear();
    for (const RemapInfo& remap : remaps) {
        remaps_[remap.sector / DMR_SECTORS_PER_BLOCK] = remap;
        block_in_[remap.spare_sector / DMR_SECTORS_PER_BLOCK] =
            remap.sector / DMR_SECTORS_PER_BLOCK;
    }
}

std::uint32_t Machine::home_of(Side side, std::uint64_t sector) const {
    const std::uint64_t block = sector / DMR_SECTORS_PER_BLOCK;
    if (side == Side::main)
        return remaps_.contains(block) ? kNoHome : static_cast<std::uint32_t>(sector);
    const auto at = block_in_.find(block);
    return at == block_in_.end() ? kNoHome
                                 : static_cast<std::uint32_t>(at->second * DMR_SECTORS_PER_BLOCK +
                                                              sector % DMR_SECTORS_PER_BLOCK);
}

void Machine::hold(std::function<bool(Side, const Io&)> which) {
    const std::lock_guard lock(mutex_);
    holds_ = std::move(which);
}

std::size_t Machine::held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
}

void Machine::wait_held() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !held_.empty(); });
}

void Machine::release(std::size_t which) {
    Call call{};
    {
        const std::lock_guard lock(mutex_);
        call = held_[which];
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
        end(call);
    }
    call.io->complete(call.error);
}

void Machine::submit(Side side, Io& io, std::uint64_t process) {
    int error = 0;
    {
        const std::lock_guard lock(mutex_);
        if (process == process_ && calls_left_-- == 0) {
            ++process_;
            calls_left_ = ~std::uint64_t{0};
        }
        if (process != process_) {
            error = ENODEV;
        } else {
            Call call = begin(side, io, process);
            if (holds_ && holds_(side, io)) {
                held_.push_back(call);
                changed_.notify_all();
                return;
            }
            end(call);
            error = call.error;
        }
    }
    io.complete(error);
}

Machine::Call Machine::begin(Side side, Io& io, std::uint64_t process) {
    Call call{&io, side, process, tape_.place(), 0};
    const DeviceInfo& info = info_[index(side)];
    if (io.op == Op::flush) {
        append({.kind = Mark::Kind::flush_begun, .side = side});
    } else if (io.length > info.size || io.offset > info.size - io.length ||
               (io.offset | io.length) % info.logical_block != 0) {
        call.error = EINVAL;
    } else if (io.op != Op::read) {
        begin_write(call);
    }
    return call;
}

// A write that meets a sector that takes none fails, and leaves there nothing new, what came before
// that sector, or besides that sector unreadable, in turn.
void Machine::begin_write(Call& call) {
    ++writes_;
    const Io& io = *call.io;
    const auto& faults = state_->faults[index(call.side)];
    const std::uint64_t first = io.offset / kSector, end = first + io.length / kSector;
    const std::uint64_t unit = info_[index(call.side)].logical_block / kSector;
    std::uint64_t good_until = end, spoilt_until = end;
    const auto fault = faults.lower_bound(first);
    if (io.op != Op::discard && fault != faults.end() && *fault < end) {
        call.error = EIO;
        const std::uint64_t way = failures_++ % 3;
        good_until = way == 0 ? first : *fault / unit * unit;
        spoilt_until = way == 2 ? good_until + unit : good_until;
    }
    Mark event{.kind = Mark::Kind::write_begun,
               .side = call.side,
               .error = call.error,
               .first = first,
               .count = io.length / kSector};
    event.cells.reserve(spoilt_until - first);
    for (std::uint64_t s = first; s < spoilt_until; ++s) {
        Cell cell{};
        if (s >= good_until) {
            std::memcpy(cell.bytes.data(), volume(call.side).bytes(s), kSector);
            cell.unreadable = true;
        } else if (io.op == Op::write) {
            std::memcpy(cell.bytes.data(), io.data + (s - first) * kSector, kSector);
        }
        event.cells.push_back(cell);
        event.homes.push_back(home_of(call.side, s));
    }
    append(std::move(event));
}

int Machine::read(Side side, const Io& io) const {
    const Volume& from = volume(side);
    for (std::uint64_t at = 0; at < io.length; at += kSector) {
        const std::uint64_t sector = (io.offset + at) / kSector;
        if (from.unreadable(sector)) {
            std::memset(io.data, kGarbage, io.length);
            return EIO;
        }
        std::memcpy(io.data + at, from.bytes(sector), kSector);
    }
    return 0;
}

void Machine::end(Call& call) {
    if (call.error == EINVAL) return;
    const Io& io = *call.io;
    switch (io.op) {
        case Op::read:
            call.error = read(call.side, io);
            break;
        case Op::flush:
            append({.kind = Mark::Kind::flush_ended, .side = call.side, .id = call.began});
            break;
        default:
            for (std::uint64_t at = io.offset / kSector;
                 const Cell& cell : tape_.events[call.began].cells)
                state_->volumes[index(call.side)].put(at++, cell);
            append({.kind = Mark::Kind::write_ended, .side = call.side, .id = call.began});
    }
}

}  // namespace dmremap::test
