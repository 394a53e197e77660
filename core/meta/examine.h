// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at a spare without its main: what dmremapctl's examine and check stand on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/format.h"

namespace dmremap {

struct SuperblockCopy {
    std::uint64_t offset = 0;  // bytes on the spare
    int read_error = 0;        // errno, 0 when it could be read
    dmr_verdict verdict = DMR_NOT_OURS;
    std::uint64_t sequence = 0;  // of a DMR_OK copy
    bool newest = false;         // holds the same update as the one that counts
};

const char* verdict_name(dmr_verdict verdict);  // "ok", "not a superblock", "bad checksum", ...

// What the entry table holds, both copies taken together.
struct TableReport {
    std::uint64_t entries = 0;  // that exist (table_ready)
    std::uint64_t remapped = 0, free = 0, bad_slots = 0;
    std::uint64_t lost_sectors = 0, retry_sectors = 0;
    std::uint64_t one_copy = 0;     // entries with a single good copy (repairable)
    std::uint64_t stale = 0;        // entries whose copies differ, both valid (repairable)
    std::uint64_t superseded = 0;   // older claims on a main block (repairable)
    std::uint64_t no_copy = 0;      // entries without any good copy: data at risk
    std::uint64_t conflicts = 0;    // entries or claims that contradict each other
    std::uint64_t above_ready = 0;  // used entries above table_ready: a stale superblock
};

// Why a table in this condition must not be opened, one sentence each; empty when it may.
std::vector<std::string> table_damage(const TableReport& table);

struct SpareReport {
    std::vector<SuperblockCopy> copies;
    bool has_superblock = false;  // a valid copy was found; the rest is only set then
    dmr_superblock superblock{};  // the one that counts
    bool has_table = false;       // it was read; what is fatal then can be passed over by a rescue
    TableReport table;
    std::vector<std::string> repairable;  // one sentence each
    std::vector<std::string> fatal;       // why Disk::open() would refuse, one sentence each
};

// Never writes. Throws Refusal only when a copy cannot be read for another reason than damage: then
// nothing can be said of the whole. `with_table` false reads the superblock copies alone.
SpareReport examine_spare(Device& spare, bool with_table);

// Repairs what `repairable` names, exactly as opening does; throws Refusal when the spare has fatal
// damage or is in use. Returns what was done, one sentence each.
std::vector<std::string> repair_spare(Device& spare);

}  // namespace dmremap
