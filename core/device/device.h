// SPDX-License-Identifier: GPL-2.0-or-later
// A device as the core sees it: something of a fixed size that takes reads, writes, zeroing,
// discards and flushes at byte offsets, and says for each whether it worked.
//
// Everything below the engine is one of these: a file or block device, memory, and decorators
// around another device that inject faults or record calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dmremap {

// What one call asks for.
//   zero     write zeros over the range (may be offloaded; reads return zeros afterwards)
//   discard  the range's content is no longer needed; reads return old data or zeros
//   flush    everything completed before this call was submitted is durable when it succeeds
enum class Op : std::uint8_t { read, write, zero, discard, flush };

const char* op_name(Op op);

// One call to a device. The caller owns it, and the memory it points to, until done is called.
// Offset, length and, for read and write, data must be multiples of DeviceInfo::logical_block;
// data needs no alignment in memory (a device that wants one bounces).
struct Io {
    Op op = Op::read;
    std::uint64_t offset = 0;   // bytes
    std::uint64_t length = 0;   // bytes; 0 for flush
    std::byte* data = nullptr;  // read and write only; not written to by a write
    int error = 0;              // result: 0 (all of it was done) or a positive errno (assume none)

    // Called exactly once, from any thread, possibly before submit() returns. Must not block on
    // other I/O of the same device. `context` is the caller's.
    void (*done)(Io& io) = nullptr;
    void* context = nullptr;

    // The device's, from submit() to complete(): who is told what an IoLoop moved.
    void (*moved)(Io& io, std::int64_t bytes_or_error) = nullptr;
    void* device = nullptr;

    void complete(int result) {
        error = result;
        done(*this);
    }
};

struct DeviceInfo {
    std::string name;                    // as the user gave it; for messages
    std::uint64_t size = 0;              // bytes of this device (a partition is not its disk)
    std::uint32_t logical_block = 512;   // bytes; unit and alignment of I/O
    std::uint32_t physical_block = 512;  // bytes; what a power cut may garble
    bool read_only = false;
    std::string identity;  // canonical text, see core/pair/identity.h
    std::string note;      // "" or what the user should know, e.g. why not O_DIRECT
};

class Device {
public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;

    // Constant for the life of the device; any thread.
    virtual const DeviceInfo& info() const = 0;

    // Starts io; any thread, any number in flight. The range lies inside the device (the engine and
    // the metadata never ask otherwise): outside it completes with EINVAL. A transfer is whole or
    // an error: short ones are continued inside; of a device that has become shorter, ENODEV.
    virtual void submit(Io& io) = 0;

    // Blocking conveniences: 0 or a positive errno. Any thread but one that runs completions.
    int read(std::uint64_t offset, void* data, std::uint64_t length);
    int write(std::uint64_t offset, const void* data, std::uint64_t length);
    int zero(std::uint64_t offset, std::uint64_t length);
    int discard(std::uint64_t offset, std::uint64_t length);
    int flush();
};

}  // namespace dmremap
