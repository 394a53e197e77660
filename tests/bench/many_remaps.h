// SPDX-License-Identifier: GPL-2.0-or-later
// A spare with any number of remaps in no time, for the benchmarks and for tests of long lists:
// only the table says so, for nothing was ever copied. Sparse: it costs the table's pages alone.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "core/device/memory_device.h"
#include "core/meta/entry_table.h"
#include "core/meta/format_spare.h"
#include "core/meta/superblock_store.h"
#include "core/meta/table_load.h"

namespace dmremap::bench {

// Of every kEvery'th block of a main that is as large as it must be for that.
constexpr std::uint64_t kEvery = 10;

inline std::uint64_t main_size(std::uint64_t remaps) {
    return std::max<std::uint64_t>(remaps * kEvery * DMR_BLOCK_SIZE, 16 << 20);
}
inline std::uint64_t spare_size(std::uint64_t remaps) {
    return remaps * DMR_BLOCK_SIZE / 8 * 9 + (64 << 20);
}

// Formats the spare and fills its table, as a session that ended by a crash. Both devices are
// empty and of the sizes above. Throws Refusal and runtime_error.
inline void make_remaps(Device& main, Device& spare, std::uint64_t remaps) {
    constexpr std::uint64_t kAtOnce = 16384;
    format_spare(main, spare, {});
    SuperblockStore store(spare, scan_superblocks(spare));
    dmr_superblock session = store.current();
    session.entry_epoch = dmr_to_le64(dmr_le64(session.entry_epoch) + 1);
    session.flags = dmr_to_le32(dmr_le32(session.flags) & ~DMR_CLEAN);
    if (store.write(session, kSequenceSkip) != 0) {
        throw std::runtime_error("the superblock could not be written");
    }
    EntryTable table(spare, store, load_table(spare, store.current()));
    std::vector<EntryChange> changes;
    for (std::uint64_t i = 0; i < remaps; i++) {
        changes.push_back(EntryChange{.slot = table.allocate().value(),
                                      .state = DMR_REMAPPED,
                                      .main_block = i * kEvery,
                                      .lost = 0,
                                      .retry = 0,
                                      .reason = DMR_REASON_SCAN});
        if (changes.size() == kAtOnce || i + 1 == remaps) {
            for (const CommitOutcome outcome : table.commit(changes)) {
                if (outcome != CommitOutcome::durable) {
                    throw std::runtime_error("an entry could not be committed");
                }
            }
            changes.clear();
        }
    }
}

// The pair in memory.
struct ManyRemaps {
    explicit ManyRemaps(std::uint64_t remaps)
        : main(std::make_shared<MemoryImage>(main_size(remaps))),
          spare(std::make_shared<MemoryImage>(spare_size(remaps))) {
        make_remaps(*make_main(), *make_spare(), remaps);
    }

    std::unique_ptr<Device> make_main() const { return make_memory_device(main, "main"); }
    std::unique_ptr<Device> make_spare() const { return make_memory_device(spare, "spare"); }

    std::shared_ptr<MemoryImage> main, spare;
};

}  // namespace dmremap::bench
