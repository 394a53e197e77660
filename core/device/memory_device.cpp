// SPDX-License-Identifier: GPL-2.0-or-later
// One anonymous mapping without reserved swap holds the bytes: sparse, zero at first, and as fast
// as memory is.
#include "core/device/memory_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/refusal.h"

namespace dmremap {

namespace {

// Below this a memset is cheaper than asking the system for fresh pages.
constexpr std::uint64_t kWorthDropping = 64 * 1024;

std::uint64_t page_size() {
    static const auto size = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return size;
}

}  // namespace

MemoryImage::MemoryImage(std::uint64_t size) {
    if (size == 0)
        throw Refusal(RefusalKind::usage, "A device in memory cannot have 0 bytes; give it a size");
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        throw Refusal(RefusalKind::system,
                      "No address space for a device of " + std::to_string(size) +
                          " bytes in memory: " + std::generic_category().message(errno));
    // Only advice: with huge pages one written sector would cost 2 MiB, and a core dump needs none
    // of this.
    madvise(memory, size, MADV_NOHUGEPAGE);
    madvise(memory, size, MADV_DONTDUMP);
    bytes_ = {static_cast<std::byte*>(memory), size};
}

MemoryImage::~MemoryImage() { munmap(bytes_.data(), bytes_.size()); }

void MemoryImage::drop(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t page = page_size();
    const std::uint64_t first = (offset + page - 1) / page * page;
    const std::uint64_t end = (offset + length) / page * page;
    if (first >= end) return;
    // Fails where the pages are locked in memory: then there is nothing to give back.
    if (madvise(bytes_.data() + first, end - first, MADV_DONTNEED) != 0)
        std::memset(bytes_.data() + first, 0, end - first);
}

void MemoryImage::zero(std::uint64_t offset, std::uint64_t length) {
    std::byte* const at = bytes_.data() + offset;
    if (length < kWorthDropping) {
        std::memset(at, 0, length);
        return;
    }
    const std::uint64_t page = page_size();
    const std::uint64_t head = (page - offset % page) % page;
    const std::uint64_t tail = (offset + length) % page;
    std::memset(at, 0, head);
    drop(offset + head, length - head - tail);
    std::memset(at + length - tail, 0, tail);
}

std::shared_ptr<MemoryImage> MemoryImage::copy() const {
    auto twin = std::make_shared<MemoryImage>(size());
    const std::uint64_t page = page_size();
    for (std::uint64_t at = 0; at < size(); at += page) {
        // Zeros are skipped, so that the twin is as sparse as the original's content.
        const auto part = bytes_.subspan(at, std::min(page, size() - at));
        if (std::any_of(part.begin(), part.end(), [](std::byte b) { return b != std::byte{0}; }))
            std::memcpy(twin->bytes_.data() + at, part.data(), part.size());
    }
    return twin;
}

namespace {

class MemoryDevice final : public Device {
public:
    MemoryDevice(std::shared_ptr<MemoryImage> image, DeviceInfo info)
        : image_(std::move(image)), info_(std::move(info)) {}

    const DeviceInfo& info() const override { return info_; }

    void submit(Io& io) override { io.complete(run(io)); }

private:
    int run(const Io& io) {
        if (io.op == Op::flush) return 0;
        if (io.length > info_.size || io.offset > info_.size - io.length) return EINVAL;
        if ((io.offset | io.length) % info_.logical_block != 0) return EINVAL;
        if (io.length == 0) return 0;
        std::byte* const at = image_->bytes().data() + io.offset;
        switch (io.op) {
            case Op::read:
                std::memcpy(io.data, at, io.length);
                return 0;
            case Op::write:
                std::memcpy(at, io.data, io.length);
                return 0;
            case Op::zero:
                image_->zero(io.offset, io.length);
                return 0;
            case Op::discard:
                image_->drop(io.offset, io.length);
                return 0;
            case Op::flush:
                return 0;
        }
        return EINVAL;
    }

    const std::shared_ptr<MemoryImage> image_;
    const DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Device> make_memory_device(std::shared_ptr<MemoryImage> image, std::string name,
                                           std::uint32_t logical_block,
                                           std::uint32_t physical_block) {
    if (logical_block < 512 || !std::has_single_bit(logical_block) ||
        physical_block < logical_block || !std::has_single_bit(physical_block))
        throw Refusal(RefusalKind::usage,
                      name + " has a logical block of " + std::to_string(logical_block) +
                          " bytes and a physical block of " + std::to_string(physical_block) +
                          "; give powers of two, 512 <= logical <= physical");
    if (image->size() % logical_block != 0)
        throw Refusal(RefusalKind::usage, name + " has " + std::to_string(image->size()) +
                                              " bytes; give a multiple of its logical block of " +
                                              std::to_string(logical_block));
    DeviceInfo info;
    info.size = image->size();
    info.logical_block = logical_block;
    info.physical_block = physical_block;
    info.identity = "serial=" + name + "\nsize=" + std::to_string(info.size) + "\n";
    info.name = std::move(name);
    return std::make_unique<MemoryDevice>(std::move(image), std::move(info));
}

std::unique_ptr<Device> make_memory_device(std::string name, std::uint64_t size,
                                           std::uint32_t logical_block,
                                           std::uint32_t physical_block) {
    return make_memory_device(std::make_shared<MemoryImage>(size), std::move(name), logical_block,
                              physical_block);
}

}  // namespace dmremap
