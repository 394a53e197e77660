// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/scan_read.h"

#include <linux/ioprio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

namespace dmremap {

namespace {

constexpr auto kGatePause = std::chrono::milliseconds(1);

// Blocks that one call can read: all on main, or in slots one after the other.
struct Stretch {
    FoundRemap remap;          // of its first block; null: on main
    std::uint64_t offset = 0;  // on its device
    std::uint64_t length = 0;
};

}  // namespace

IdleCaller::IdleCaller() {
    current_ = this;
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

IdleCaller::~IdleCaller() { current_ = nullptr; }

bool IdleCaller::start(Io& io, int fd) {
    if (given_ != nullptr || io.op != Op::read) {
        return false;
    }
    given_ = &io;
    fd_ = fd;
    return true;
}

int IdleCaller::read(Device& device, std::uint64_t offset, std::byte* data, std::uint64_t length) {
    Io io;
    io.op = Op::read;
    io.offset = offset;
    io.length = length;
    io.data = data;
    io.context = this;
    io.done = [](Io& done) {
        auto& self = *static_cast<IdleCaller*>(done.context);
        const std::lock_guard lock(self.mutex_);
        self.done_ = true;
        self.changed_.notify_one();
    };
    done_ = false;
    device.submit(io);
    if (given_ != nullptr) {
        Io& mine = *given_;
        given_ = nullptr;
        const ssize_t moved = ::pread(fd_, mine.data, mine.length, static_cast<off_t>(mine.offset));
        mine.moved(mine, moved < 0 ? -errno : moved);
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
    return io.error;
}

namespace {

Stretch stretch_at(const Context& disk, std::uint64_t at, std::uint64_t end) {
    Stretch stretch;
    const std::uint64_t first = at / DMR_BLOCK_SIZE;
    FoundRemap next = disk.map->lower_bound(first);
    if (next != nullptr && next->block == first) {
        stretch.remap = next;
        stretch.offset = next->fenced() ? 0 : disk.slot_offset(next->slot);
        do {
            stretch.length += disk.block_length(next->block);
            const FoundRemap before = next;
            next = disk.map->next(before);
            if (next == nullptr || before->fenced() || next->fenced() ||
                next->block != before->block + 1 || next->block * DMR_BLOCK_SIZE >= end ||
                disk.slot_offset(next->slot) != stretch.offset + stretch.length) {
                break;
            }
        } while (true);
        return stretch;
    }
    stretch.offset = at;
    stretch.length =
        (next == nullptr ? end : std::clamp(next->block * DMR_BLOCK_SIZE, at, end)) - at;
    return stretch;
}

int call(Context& disk, IdleCaller& caller, Device& device, const Stretch& stretch,
         std::byte* data) {
    const int error = caller.read(device, stretch.offset, data, stretch.length);
    if (&device == disk.main.get()) {
        disk.counters->main_call(Op::read, error == 0);
    } else {
        disk.counters->spare_call(Op::read, error == 0);
    }
    return error;
}

void read_on_main(Context& disk, IdleCaller& caller, ScanRead& read, const Stretch& stretch,
                  std::byte* data) {
    const std::uint64_t begin = now_ns();
    const int error = call(disk, caller, *disk.main, stretch, data);
    read.ns += now_ns() - begin;
    read.first_on_main =
        read.main_bytes == 0 ? stretch.offset / DMR_BLOCK_SIZE : read.first_on_main;
    read.main_bytes += stretch.length;
    read.error = read.error != 0 ? read.error : error;
}

void read_in_slots(Context& disk, IdleCaller& caller, ScanRead& read, const Stretch& stretch,
                   std::byte* data) {
    if (stretch.remap->fenced()) {
        return;
    }
    const bool failed = call(disk, caller, *disk.spare, stretch, data) != 0;
    const std::uint64_t blocks = (stretch.length + DMR_BLOCK_SIZE - 1) / DMR_BLOCK_SIZE;
    FoundRemap remap = stretch.remap;
    for (std::uint64_t i = 0; i < blocks; i++, remap = disk.map->next(remap)) {
        read.check[remap->block % kRegionBlocks] = failed || remap->retry != 0;
    }
}

}  // namespace

void scan_read(Context& disk, IdleCaller& caller, ScanRead& read) {
    read.error = 0;
    read.check.reset();
    read.main_bytes = read.ns = 0;
    const unsigned gate = gate_of(read.offset);
    while (!disk.gates->enter(gate)) {
        std::this_thread::sleep_for(kGatePause);
    }
    const std::uint64_t end = read.offset + read.length;
    if (!disk.map->may_hold_remaps(read.offset)) {
        read_on_main(disk, caller, read, {{}, read.offset, read.length}, read.buffer);
    } else {
        for (std::uint64_t at = read.offset; at < end;) {
            const Stretch stretch = stretch_at(disk, at, end);
            std::byte* const data = read.buffer + (at - read.offset);
            if (stretch.remap == nullptr) {
                read_on_main(disk, caller, read, stretch, data);
            } else {
                read_in_slots(disk, caller, read, stretch, data);
            }
            at += stretch.length;
        }
    }
    disk.gates->leave(gate);
}

}  // namespace dmremap
