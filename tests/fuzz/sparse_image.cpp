// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/sparse_image.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/format.h"

namespace dmremap::fuzz {

namespace {

constexpr std::uint64_t kNoise = 1 << 20;  // bytes

std::uint64_t mixed(std::uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdull;
    x = (x ^ (x >> 29)) * 0xc4ceb9fe1a85ec53ull;
    return x ^ (x >> 32);
}

// A unit that was never written is a piece of this from a place that its number gives: as good as
// noise of its own, and had for a memcpy().
const std::byte* noise() {
    static const std::vector<std::uint64_t> all = [] {
        std::vector<std::uint64_t> words(kNoise / sizeof(std::uint64_t));
        for (std::size_t i = 0; i < words.size(); i++) words[i] = mixed(i + 1);
        return words;
    }();
    return reinterpret_cast<const std::byte*>(all.data());
}

}  // namespace

class SparseDevice final : public Device {
public:
    explicit SparseDevice(std::shared_ptr<SparseImage> image)
        : image_(std::move(image)), info_(image_->info()) {}
    const DeviceInfo& info() const override { return info_; }
    void submit(Io& io) override { io.complete(image_->run(io)); }

private:
    const std::shared_ptr<SparseImage> image_;
    const DeviceInfo info_;
};

SparseImage::SparseImage(std::string name, std::uint64_t size, std::uint32_t logical_block,
                         std::uint32_t physical_block)
    : noise_(mixed(std::hash<std::string>{}(name))) {
    info_.size = size;
    info_.logical_block = logical_block;
    info_.physical_block = physical_block;
    info_.identity = "serial=" + name + "\nsize=" + std::to_string(size) + "\n";
    info_.name = std::move(name);
}

SparseImage::SparseImage(const SparseImage& other) : info_(other.info_), noise_(other.noise_) {
    const std::lock_guard lock(other.mutex_);
    units_ = other.units_;
    unreadable_ = other.unreadable_;
    unwritable_first_ = other.unwritable_first_;
    unwritable_end_ = other.unwritable_end_;
}

std::unique_ptr<Device> SparseImage::device(std::shared_ptr<SparseImage> image) {
    return std::make_unique<SparseDevice>(std::move(image));
}

void SparseImage::load(std::uint64_t offset, std::byte* data, std::uint64_t length) const {
    for (std::uint64_t done = 0; done < length;) {
        const std::uint64_t at = offset + done, in = at % kUnit;
        const std::uint64_t part = std::min(kUnit - in, length - done);
        const auto unit = units_.find(at / kUnit);
        if (unit != units_.end()) {
            std::memcpy(data + done, unit->second.data() + in, part);
        } else {
            const std::uint64_t place = mixed(noise_ + at / kUnit) % (kNoise - kUnit);
            std::memcpy(data + done, noise() + place + in, part);
        }
        done += part;
    }
}

void SparseImage::store(std::uint64_t offset, const std::byte* data, std::uint64_t length) {
    for (std::uint64_t done = 0; done < length;) {
        const std::uint64_t at = offset + done, in = at % kUnit;
        const std::uint64_t part = std::min(kUnit - in, length - done);
        auto unit = units_.find(at / kUnit);
        if (unit == units_.end()) {
            Unit old;
            load(at - in, old.data(), kUnit);
            unit = units_.emplace(at / kUnit, old).first;
        }
        std::memcpy(unit->second.data() + in, data + done, part);
        done += part;
    }
}

void SparseImage::peek(std::uint64_t offset, void* data, std::uint64_t length) const {
    const std::lock_guard lock(mutex_);
    load(offset, static_cast<std::byte*>(data), length);
}

void SparseImage::poke(std::uint64_t offset, const void* data, std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    store(offset, static_cast<const std::byte*>(data), length);
}

void SparseImage::make_unreadable(std::uint64_t sector, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    for (std::uint64_t i = 0; i < count; i++) unreadable_.insert(sector + i);
}

bool SparseImage::unreadable(std::uint64_t offset, std::uint64_t length) const {
    const std::lock_guard lock(mutex_);
    const auto at = unreadable_.lower_bound(offset / DMR_SECTOR_SIZE);
    return at != unreadable_.end() && *at * DMR_SECTOR_SIZE < offset + length;
}

void SparseImage::set_unwritable(std::uint64_t first, std::uint64_t end) {
    const std::lock_guard lock(mutex_);
    unwritable_first_ = first;
    unwritable_end_ = end;
}

void SparseImage::heal() {
    const std::lock_guard lock(mutex_);
    unreadable_.clear();
    unwritable_first_ = unwritable_end_ = 0;
}

std::uint64_t SparseImage::writes() const {
    const std::lock_guard lock(mutex_);
    return writes_;
}

int SparseImage::run(const Io& io) {
    if (io.op == Op::flush || io.op == Op::discard) return 0;
    if (io.length > info_.size || io.offset > info_.size - io.length) return EINVAL;
    if ((io.offset | io.length) % info_.logical_block != 0) return EINVAL;
    if (io.op == Op::read) {
        if (unreadable(io.offset, io.length)) return EIO;
        peek(io.offset, io.data, io.length);
        return 0;
    }
    if (watcher_) watcher_(io.offset, io.length);
    const std::lock_guard lock(mutex_);
    writes_++;
    const std::uint64_t first = io.offset / DMR_SECTOR_SIZE;
    const std::uint64_t end = (io.offset + io.length) / DMR_SECTOR_SIZE;
    if (first < unwritable_end_ && unwritable_first_ < end) return EIO;
    if (io.op == Op::write) {
        store(io.offset, io.data, io.length);
    } else {
        const std::vector<std::byte> zeros(io.length);
        store(io.offset, zeros.data(), zeros.size());
    }
    unreadable_.erase(unreadable_.lower_bound(first), unreadable_.lower_bound(end));
    return 0;
}

}  // namespace dmremap::fuzz
