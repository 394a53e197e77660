// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/test_pair.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "core/device/fault_device.h"
#include "core/meta/format_spare.h"

namespace dmremap::test {

TestPair::TestPair(const Shape& shape)
    : main(std::make_shared<Medium>("MAIN-1", shape.main_size, shape.main_logical,
                                    shape.main_logical, power)),
      spare(std::make_shared<Medium>("SPARE-1", shape.spare_size, shape.spare_logical,
                                     shape.spare_physical, power)),
      plan(FaultPlan::parse("")) {}

TestPair::~TestPair() {
    main->set_hook(nullptr);
    spare->set_hook(nullptr);
    main->release();
    spare->release();
    disk.reset();  // while there is still a place for its last events
    disk.reset();  // its last event still finds the list
}

void TestPair::format() {
    const auto main_device = main->device();
    const auto spare_device = spare->device();
    format_spare(*main_device, *spare_device, {});
}

void TestPair::open(const OpenOptions& options) {
    OpenOptions with_events = options;
    with_events.on_event = [this](const Event& event) {
        const std::lock_guard lock(mutex_);
        events_.push_back(event);
        seen_[event.kind]++;
        changed_.notify_all();
    };
    disk = Disk::open(make_fault_device(main->device(), "main", plan),
                      make_fault_device(spare->device(), "spare", plan), with_events);
}

void TestPair::close() {
    EXPECT_EQ(disk->close(), 0);
    disk.reset();
}

void TestPair::crash(std::mt19937_64* chance) {
    power->cut_now();
    disk.reset();
    main->lose(chance);
    spare->lose(chance);
    power->on();
}

void TestPair::set_cache(bool on) {
    main->set_cache(on);
    spare->set_cache(on);
}

std::vector<Event> TestPair::events() const {
    const std::lock_guard lock(mutex_);
    return events_;
}

bool TestPair::saw(EventKind kind) const {
    for (const Event& event : events())
        if (event.kind == kind) return true;
    return false;
}

std::size_t TestPair::count(EventKind kind) const {
    const std::lock_guard lock(mutex_);
    return seen_.contains(kind) ? seen_.at(kind) : 0;
}

bool TestPair::wait_for(EventKind kind, std::size_t times) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1),
                             [&] { return seen_.contains(kind) && seen_.at(kind) >= times; });
}

bool TestPair::has_cause(const std::string& name) const {
    for (const Cause& cause : disk->status().causes)
        if (cause.name == name) return true;
    return false;
}

dmr_superblock TestPair::superblock() const {
    dmr_superblock best{};
    bool found = false;
    for (unsigned i = 0; i < dmr_copies(spare->size()); ++i) {
        dmr_superblock sb;
        const auto bytes = spare->peek(dmr_copy_offsets[i], sizeof(sb));
        std::memcpy(&sb, bytes.data(), sizeof(sb));
        if (dmr_superblock_verdict(&sb, dmr_copy_offsets[i]) != DMR_OK) continue;
        if (!found || dmr_superblock_newer(&sb, &best)) best = sb;
        found = true;
    }
    EXPECT_TRUE(found) << "no valid superblock copy";
    return best;
}

void TestPair::edit_superblocks(const std::function<void(dmr_superblock&)>& edit) {
    for (unsigned i = 0; i < dmr_copies(spare->size()); ++i) {
        dmr_superblock sb;
        std::memcpy(&sb, spare->peek(dmr_copy_offsets[i], sizeof(sb)).data(), sizeof(sb));
        if (dmr_superblock_verdict(&sb, dmr_copy_offsets[i]) != DMR_OK) continue;
        edit(sb);
        sb.crc = dmr_to_le32(dmr_superblock_crc(&sb, dmr_copy_offsets[i]));
        spare->poke(dmr_copy_offsets[i], &sb, sizeof(sb));
    }
}

void TestPair::edit_entries(const std::function<void(dmr_entry&)>& edit) {
    const dmr_superblock sb = superblock();
    for (std::uint64_t slot = 0; slot < dmr_le64(sb.table_ready); ++slot) {
        for (int copy = 0; copy < 2; ++copy) {
            const std::uint64_t in_page = dmr_entries_per_page(&sb);
            const std::uint64_t at =
                dmr_page_offset(&sb, copy, slot / in_page) + slot % in_page * DMR_ENTRY_SIZE;
            dmr_entry entry;
            std::memcpy(&entry, spare->peek(at, sizeof(entry)).data(), sizeof(entry));
            if (!dmr_entry_valid(&sb, &entry, slot) || entry.state != DMR_REMAPPED) continue;
            edit(entry);
            entry.crc = dmr_to_le32(dmr_entry_crc(&entry, sb.uuid, slot));
            spare->poke(at, &entry, sizeof(entry));
        }
    }
}

std::vector<RemapInfo> TestPair::remaps() const {
    std::vector<RemapInfo> all;
    disk->list_remaps([&](const RemapInfo& info) { all.push_back(info); });
    return all;
}

std::optional<RemapInfo> TestPair::remap_of(std::uint64_t block) const {
    for (const RemapInfo& info : remaps())
        if (info.sector == block * DMR_SECTORS_PER_BLOCK) return info;
    return std::nullopt;
}

int TestPair::table_copy(std::uint64_t offset) const {
    const dmr_superblock sb = superblock();
    const std::uint64_t pages =
        (dmr_le64(sb.slots) + dmr_entries_per_page(&sb) - 1) / dmr_entries_per_page(&sb);
    for (int copy = 0; copy < 2; ++copy)
        for (std::uint64_t page = 0; page < pages; ++page) {
            const std::uint64_t at = dmr_page_offset(&sb, copy, page);
            if (offset >= at && offset < at + dmr_le32(sb.page_size)) return copy;
        }
    return -1;
}

bool TestPair::in_slots(std::uint64_t offset) const {
    const dmr_superblock sb = superblock();
    const std::uint64_t last = dmr_le64(sb.slots) - 1;
    if (offset < dmr_slot_offset(&sb, 0) || offset >= dmr_slot_offset(&sb, last) + kBlock)
        return false;
    for (unsigned i = 0; i < dmr_copies(spare->size()); ++i)
        if (offset >= dmr_copy_offsets[i] && offset < dmr_copy_offsets[i] + DMR_HOLE) return false;
    return true;
}

void TestPair::fill_main(std::uint32_t version) {
    const auto bytes = pattern(0, sectors(), version);
    main->poke(0, bytes.data(), bytes.size());
}

std::vector<std::byte> pattern(std::uint64_t sector, std::uint64_t count, std::uint32_t version) {
    std::vector<std::byte> bytes(count * kSector);
    for (std::uint64_t s = 0; s < count; ++s) {
        for (std::uint64_t word = 0; word < kSector / 8; ++word) {
            const std::uint64_t value =
                ((sector + s) * 64 + word + 1) * 0x9E3779B97F4A7C15ull ^ version * 0xD1B54A33ull;
            std::memcpy(bytes.data() + s * kSector + word * 8, &value, 8);
        }
    }
    return bytes;
}

std::vector<std::byte> zeros(std::uint64_t bytes) { return std::vector<std::byte>(bytes); }

std::vector<std::byte> read_sectors(Disk& disk, std::uint64_t sector, std::uint64_t count,
                                    int expected_error) {
    std::vector<std::byte> bytes(count * kSector, std::byte{0xA5});
    EXPECT_EQ(disk.read(sector * kSector, bytes.data(), bytes.size()), expected_error)
        << "read of sectors " << sector << "+" << count;
    return bytes;
}

int write_sectors(Disk& disk, std::uint64_t sector, std::uint64_t count, std::uint32_t version) {
    const auto bytes = pattern(sector, count, version);
    return disk.write(sector * kSector, bytes.data(), bytes.size());
}

void give_a_bug_time(const std::function<bool()>& shows) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    while (!shows() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

Pending::Pending(Disk& disk, Op op, std::uint64_t offset, std::vector<std::byte> data,
                 std::function<void()> on_finished)
    : data_(std::move(data)), on_finished_(std::move(on_finished)) {
    start(disk, op, offset, data_.size());
}

Pending::Pending(Disk& disk, Op op, std::uint64_t offset, std::uint64_t length) {
    if (op == Op::read) data_.resize(length);
    start(disk, op, offset, length);
}

Pending::Pending(Disk& disk, Op op, std::uint64_t offset, std::vector<std::byte> data,
                 Durable durable)
    : data_(std::move(data)) {
    request_.durable = durable == Durable::yes;
    start(disk, op, offset, data_.size());
}

void Pending::start(Disk& disk, Op op, std::uint64_t offset, std::uint64_t length) {
    request_.op = op;
    request_.offset = offset;
    request_.length = length;
    request_.data = data_.data();
    request_.context = this;
    request_.done = [](Request& request, int error) {
        auto& self = *static_cast<Pending*>(request.context);
        const std::lock_guard lock(self.mutex_);
        self.error_ = error;
        self.finished_ = true;
        if (self.on_finished_) self.on_finished_();
        self.changed_.notify_all();
    };
    disk.submit(request_);
}

bool Pending::finished() const {
    const std::lock_guard lock(mutex_);
    return finished_;
}

int Pending::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return finished_; });
    return error_;
}

}  // namespace dmremap::test
