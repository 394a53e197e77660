// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/block_io.h"

#include <cstring>

#include "core/device/patience.h"

namespace dmremap {

int BlockIo::call(Device& device, Op op, std::uint64_t offset, std::byte* data,
                  std::uint64_t length) {
    const auto once = [&] {
        const int error = op == Op::read    ? device.read(offset, data, length)
                          : op == Op::write ? device.write(offset, data, length)
                                            : device.flush();
        if (&device == disk_.main.get()) {
            disk_.counters->main_call(op, error == 0);
        } else {
            disk_.counters->spare_call(op, error == 0);
        }
        return error;
    };
    const int error = op == Op::flush ? once() : patiently(once);
    if (&device == disk_.spare.get()) {
        judge_spare(op, error);
    } else if (classify(error) == ErrorClass::gone) {
        disk_.breaker->device_gone(error);
    }
    return error;
}

// A spare that is gone or has no room under it is no matter of slots.
void BlockIo::judge_spare(Op op, int error) {
    const std::string& name = disk_.spare->info().name;
    if (classify(error) == ErrorClass::gone && !spare_gone_) {
        spare_gone_ = true;
        disk_.board->report(EventKind::device_gone, 0, 0, name, ": ", std::strerror(error));
        disk_.board->raise(State::failed, "spare_gone", name,
                           " does not answer: ", std::strerror(error));
    } else if (error == 0 && spare_gone_) {
        spare_gone_ = false;
        disk_.board->clear("spare_gone");
    }
    if (classify(error) == ErrorClass::no_space && !spare_fs_full_) {
        spare_fs_full_ = true;
        disk_.board->report(EventKind::spare_fs_full);
        disk_.board->raise(State::degraded, "spare_fs_full", "the file system under spare ", name,
                           " is full; make room there");
    } else if (error == 0 && op == Op::write && spare_fs_full_) {
        spare_fs_full_ = false;
        disk_.board->clear("spare_fs_full");
    }
}

int BlockIo::read_main(std::uint64_t offset, std::byte* data, std::uint64_t length) {
    return call(*disk_.main, Op::read, offset, data, length);
}

int BlockIo::write_main(std::uint64_t offset, const std::byte* data, std::uint64_t length) {
    return call(*disk_.main, Op::write, offset, const_cast<std::byte*>(data), length);
}

int BlockIo::read_spare(std::uint64_t offset, std::byte* data, std::uint64_t length) {
    return call(*disk_.spare, Op::read, offset, data, length);
}

int BlockIo::write_spare(std::uint64_t offset, const std::byte* data, std::uint64_t length) {
    return call(*disk_.spare, Op::write, offset, const_cast<std::byte*>(data), length);
}

int BlockIo::flush_main() { return call(*disk_.main, Op::flush, 0, nullptr, 0); }

int BlockIo::flush_spare() { return call(*disk_.spare, Op::flush, 0, nullptr, 0); }

int BlockIo::salvage(Device& device, std::uint64_t offset, std::byte* data, std::uint64_t length,
                     SectorMask& bad) {
    bad = 0;
    int error = call(device, Op::read, offset, data, length);
    if (classify(error) != ErrorClass::medium) {
        return error;
    }
    const std::uint64_t grain = disk_.logical_block;
    for (std::uint64_t at = 0; at < length; at += grain) {
        for (std::uint32_t tried = 0; tried <= disk_.parameters.read_retries; tried++) {
            error = call(device, Op::read, offset + at, data + at, grain);
            if (classify(error) != ErrorClass::medium) {
                break;
            }
        }
        if (classify(error) == ErrorClass::medium) {
            std::memset(data + at, 0, grain);
            bad = static_cast<SectorMask>(bad | sectors_touched(at, at + grain));
        } else if (error != 0) {
            return error;
        }
    }
    return 0;
}

int BlockIo::salvage_main(std::uint64_t offset, std::byte* data, std::uint64_t length,
                          SectorMask& bad) {
    return salvage(*disk_.main, offset, data, length, bad);
}

int BlockIo::salvage_spare(std::uint64_t offset, std::byte* data, std::uint64_t length,
                           SectorMask& bad) {
    return salvage(*disk_.spare, offset, data, length, bad);
}

}  // namespace dmremap
