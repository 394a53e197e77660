// SPDX-License-Identifier: GPL-2.0-or-later
// A device of any size for fuzz targets, which costs memory only where it was written: bytes that
// were never written are noise that tells their place, so that a byte from anywhere else shows.
//
// Sectors can be unreadable; writing heals them. Writes are counted, and a watcher sees each before
// it happens. An image is copied to go on in two ways from one point. Any thread; the watcher is
// set while no call is under way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "core/device/device.h"

namespace dmremap::fuzz {

class SparseImage {
public:
    using Watcher = std::function<void(std::uint64_t offset, std::uint64_t length)>;

    SparseImage(std::string name, std::uint64_t size, std::uint32_t logical_block,
                std::uint32_t physical_block);
    SparseImage(const SparseImage& other);
    SparseImage& operator=(const SparseImage&) = delete;

    // For Disk::open(): shares the image.
    static std::unique_ptr<Device> device(std::shared_ptr<SparseImage> image);

    const DeviceInfo& info() const { return info_; }
    void set_size(std::uint64_t size) { info_.size = size; }  // the identity stays

    // Behind the back of any device: neither counted, nor watched, nor kept from bad sectors.
    void peek(std::uint64_t offset, void* data, std::uint64_t length) const;
    void poke(std::uint64_t offset, const void* data, std::uint64_t length);

    void make_unreadable(std::uint64_t sector, std::uint64_t count);
    bool unreadable(std::uint64_t offset, std::uint64_t length) const;
    void set_unwritable(std::uint64_t first, std::uint64_t end);  // sectors; only one such range
    void heal();  // every sector can be read and written

    std::uint64_t writes() const;
    void watch(Watcher watcher) { watcher_ = std::move(watcher); }

private:
    friend class SparseDevice;
    static constexpr std::uint64_t kUnit = 4096;
    using Unit = std::array<std::byte, kUnit>;

    int run(const Io& io);
    void load(std::uint64_t offset, std::byte* data, std::uint64_t length) const;
    void store(std::uint64_t offset, const std::byte* data, std::uint64_t length);

    DeviceInfo info_;
    std::uint64_t noise_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, Unit> units_;
    std::set<std::uint64_t> unreadable_;
    std::uint64_t unwritable_first_ = 0, unwritable_end_ = 0;
    std::uint64_t writes_ = 0;
    Watcher watcher_;
};

}  // namespace dmremap::fuzz
