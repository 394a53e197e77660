// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/data_slot.h"

#include <linux/fuse.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "fuse/filesystem.h"

namespace dmremap {

namespace {

constexpr std::size_t kHeaders = sizeof(fuse_in_header) + sizeof(fuse_write_in);
constexpr std::size_t kMade = 32;            // ahead
constexpr std::size_t kTouched = 64 * 1024;  // bytes of each
constexpr std::size_t kKept = 64;            // the memory of more is given back
constexpr std::size_t kMost = 1024;          // at once; further messages wait in the kernel

}  // namespace

std::byte* DataSlot::message() const { return data() - kHeaders; }
std::byte* DataSlot::reply() const { return data() - sizeof(fuse_out_header); }

void DataSlot::make_reply(int error, std::size_t length) {
    fuse_out_header header{};
    reply_length = sizeof(header) + (error == 0 ? length : 0);
    header.len = static_cast<std::uint32_t>(reply_length);
    header.error = -error;
    header.unique = unique;
    std::memcpy(reply(), &header, sizeof(header));
}

std::size_t DataSlots::message_capacity() { return kHeaders + Filesystem::kMostTransferred; }

DataSlots::DataSlots() {
    free_.reserve(kKept);
    for (std::size_t i = 0; i < kMade; i++) {
        DataSlot* const slot = make();
        if (slot == nullptr) throw std::bad_alloc();
        std::memset(slot->memory, 0, kTouched);
        free_.push_back(slot);
    }
}

void DataSlots::answered(const DataSlot& slot, std::int64_t written) {
    if (written == static_cast<std::int64_t>(slot.reply_length) || written == -ENOENT) return;
    if (undelivered_.fetch_add(1, std::memory_order_relaxed) != 0) return;
    spdlog::error("the kernel did not take the answer to a request of {} bytes at {}: {}",
                  slot.request.length, slot.request.offset,
                  written < 0 ? std::strerror(static_cast<int>(-written)) : "it took a part");
}

// Only at the end of the daemon, and only if requests are still under way then.
void DataSlots::wait_for_all() {
    for (std::unique_lock lock(mutex_); free_.size() != made_; lock.lock()) {
        lock.unlock();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

DataSlots::~DataSlots() {
    for (DataSlot* const slot : free_) destroy(slot);
}

void DataSlots::destroy(DataSlot* slot) {
    std::free(slot->memory);
    delete slot;
}

DataSlot* DataSlots::make() {
    if (made_ == kMost) return nullptr;
    auto* const memory = static_cast<std::byte*>(
        std::aligned_alloc(DataSlot::kHead, DataSlot::kHead + Filesystem::kMostTransferred));
    auto* const slot = memory != nullptr ? new (std::nothrow) DataSlot : nullptr;
    if (slot == nullptr) {
        std::free(memory);
        return nullptr;
    }
    slot->memory = memory;
    slot->owner = this;
    made_++;
    return slot;
}

DataSlot* DataSlots::take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return make();
    DataSlot* const slot = free_.back();
    free_.pop_back();
    return slot;
}

void DataSlots::give_back(DataSlot* slot) {
    {
        const std::lock_guard lock(mutex_);
        if (free_.size() < kKept) {
            free_.push_back(slot);
            return;
        }
        made_--;
    }
    destroy(slot);
}

}  // namespace dmremap
