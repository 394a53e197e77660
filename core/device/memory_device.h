// SPDX-License-Identifier: GPL-2.0-or-later
// A device in memory, for tests and for the demo mount.
//
// The bytes live in a MemoryImage, the device is only a way to them: a test that keeps the image
// can close a disk, look at the bytes or damage them, and open the same content again.
//
// Threads: any number of calls at once. Calls that overlap while one of them writes are the
// caller's race, as they are on a disk; others do not disturb each other. Completion is inline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/device/device.h"

namespace dmremap {

// Bytes that begin as zeros and cost memory only once they are written.
class MemoryImage {
public:
    explicit MemoryImage(std::uint64_t size);  // throws Refusal
    ~MemoryImage();
    MemoryImage(const MemoryImage&) = delete;
    MemoryImage& operator=(const MemoryImage&) = delete;

    // All of them, to look at and to damage. Not while a call to the same range runs.
    std::span<std::byte> bytes() { return bytes_; }
    std::uint64_t size() const { return bytes_.size(); }

    // Both for a range inside the image. drop() gives whole pages back to the system: they read as
    // zeros, what else the range covers keeps its content.
    void zero(std::uint64_t offset, std::uint64_t length);
    void drop(std::uint64_t offset, std::uint64_t length);

    // A second image with the same content, for tests that go on in two ways from one point.
    std::shared_ptr<MemoryImage> copy() const;

private:
    std::span<std::byte> bytes_;
};

// Identity text: "serial=<name>\nsize=<size>\n". Every write is durable at once; crash behaviour is
// a matter of the recording device of the tests. A call outside the device or not aligned to
// logical_block completes with EINVAL. Throws Refusal when the size or a block size makes no
// device, or there is no address space for it.
std::unique_ptr<Device> make_memory_device(std::string name, std::uint64_t size,
                                           std::uint32_t logical_block = 512,
                                           std::uint32_t physical_block = 512);

// The same over an image that others may hold too.
std::unique_ptr<Device> make_memory_device(std::shared_ptr<MemoryImage> image, std::string name,
                                           std::uint32_t logical_block = 512,
                                           std::uint32_t physical_block = 512);

}  // namespace dmremap
