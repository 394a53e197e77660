// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/machine.h"

#include "core/device/fault_device.h"

namespace dmremap::test {

void wear_out(const dmr_superblock& sb,
              const std::function<void(std::uint64_t, const void*, std::uint64_t)>& write) {
    const std::uint64_t per_page = dmr_entries_per_page(&sb);
    for (std::uint64_t slot = kFreeSlots; slot < dmr_le64(sb.table_ready); ++slot) {
        dmr_entry entry{};
        entry.main_block = dmr_to_le64(DMR_NO_BLOCK);
        entry.sequence = dmr_to_le64(std::uint64_t{1});
        entry.state = DMR_BAD_SLOT;
        entry.crc = dmr_to_le32(dmr_entry_crc(&entry, sb.uuid, slot));
        for (const int copy : {0, 1})
            write(dmr_page_offset(&sb, copy, slot / per_page) + slot % per_page * DMR_ENTRY_SIZE,
                  &entry, sizeof(entry));
    }
}

MemoryMachine::MemoryMachine() : pair_(kWorkShape) {
    pair_.fill_main(1);
    pair_.format();
    geometry_ = pair_.superblock();
    wear_out(geometry_, [this](auto offset, auto data, auto length) {
        pair_.spare->poke(offset, data, length);
    });
    main_.base = pair_.main->snapshot();
    spare_.base = pair_.spare->snapshot();
    pair_.set_cache(true);
    watch(*pair_.main, main_);
    watch(*pair_.spare, spare_);
}

void MemoryMachine::watch(Medium& medium, Restored& restored) {
    medium.set_hook([this, &restored](const Call& call) {
        if (call.op != Op::read && call.op != Op::flush) {
            const std::lock_guard lock(mutex_);
            restored.written.emplace_back(call.offset, call.length);
        }
        return Medium::kPass;
    });
}

void MemoryMachine::restore(Medium& medium, Restored& restored) {
    for (const auto& [offset, length] : restored.written)
        medium.poke(offset, restored.base.data() + offset, length);
    restored.written.clear();
}

std::unique_ptr<Device> MemoryMachine::main() {
    return make_fault_device(pair_.main->device(), "main", plan_);
}

std::unique_ptr<Device> MemoryMachine::spare() {
    return make_fault_device(pair_.spare->device(), "spare", plan_);
}

void MemoryMachine::reset() {
    pair_.main->lose();
    pair_.spare->lose();
    restore(*pair_.main, main_);
    restore(*pair_.spare, spare_);
    plan_->apply("clear\n");
}

void MemoryMachine::power_on(std::mt19937_64* chance) {
    pair_.main->lose(chance);
    pair_.spare->lose(chance);
    pair_.power->on();
}

}  // namespace dmremap::test
