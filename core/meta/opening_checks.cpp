// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/opening_checks.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "core/meta/uuid.h"
#include "core/meta/witness.h"
#include "core/pair/holder.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

[[noreturn]] void refuse(const std::string& sentence) {
    throw Refusal(RefusalKind::refused, sentence);
}

std::string bytes(std::uint64_t n) { return std::to_string(n) + " bytes"; }

void set_field(std::uint8_t* field, std::size_t size, const std::string& text) {
    std::memset(field, 0, size);
    std::memcpy(field, text.data(), std::min(text.size(), size - 1));
}

// The recorded text, believed only when it fits its digest.
std::string recorded_identity(const std::uint8_t* text, const std::uint8_t* digest) {
    const std::string recorded = field_text(text, DMR_IDENTITY_TEXT);
    const Digest computed = sha256(recorded);
    return std::equal(computed.begin(), computed.end(), digest) ? recorded : "";
}

Identity identity_of(const Device& device) {
    return {device.info().identity, sha256(device.info().identity)};
}

}  // namespace

std::string field_text(const std::uint8_t* field, std::size_t size) {
    const std::uint8_t* end = std::find(field, field + size, std::uint8_t{0});
    return {reinterpret_cast<const char*>(field), static_cast<std::size_t>(end - field)};
}

dmr_superblock require_superblock(const SuperblockScan& scan, const Device& spare, Device* main) {
    const std::string& name = spare.info().name;
    require_answers(scan, spare);
    if (!scan.fatal.empty()) {
        refuse(name + ": " + scan.fatal + "; nothing was changed, see dmremapctl examine " + name);
    }
    if (scan.current) {
        return *scan.current;
    }
    if (main != nullptr && scan_superblocks(*main).current) {
        refuse(main->info().name + " is a dm-remap spare and " + name +
               " is not: main and spare are swapped, exchange them");
    }
    bool damaged = false;
    for (const SuperblockCopy& copy : scan.copies) {
        damaged = damaged || copy.read_error != 0 || copy.verdict != DMR_NOT_OURS;
    }
    if (damaged) {
        refuse(name + ": no superblock copy of " + std::to_string(scan.copies.size()) +
               " is whole; nothing was changed, see dmremapctl examine " + name);
    }
    refuse(name +
           " is not a dm-remap spare; make it one with: dmremapctl format --main MAIN --spare " +
           name);
}

void require_spare_geometry(const dmr_superblock& sb, const Device& spare, bool writable) {
    const DeviceInfo& info = spare.info();
    if (info.size < dmr_le64(sb.spare_size)) {
        refuse(info.name + " has " + bytes(info.size) + ", but was formatted with " +
               bytes(dmr_le64(sb.spare_size)) + ": it is cut short, or a partial copy");
    }
    if (info.logical_block > dmr_le32(sb.main_logical_block)) {
        refuse(info.name + " has logical blocks of " + bytes(info.logical_block) +
               ", the pair was formatted for at most " + bytes(dmr_le32(sb.main_logical_block)));
    }
    if (writable && info.physical_block > dmr_le32(sb.page_size)) {
        refuse(info.name + " has physical blocks of " + bytes(info.physical_block) +
               ", its metadata pages have " + bytes(dmr_le32(sb.page_size)) +
               ": a power cut could destroy two at once; open it with -o ro and copy it");
    }
    if (writable && (dmr_le32(sb.ro_compat) & ~DMR_RO_COMPAT_KNOWN) != 0) {
        refuse(info.name + " has features that this version can only read; open it with -o ro");
    }
}

void require_geometry(const dmr_superblock& sb, const Device& main, const Device& spare,
                      bool writable) {
    require_spare_geometry(sb, spare, writable);
    const DeviceInfo& info = main.info();
    if (info.size != dmr_le64(sb.main_size)) {
        refuse(info.name + " has " + bytes(info.size) + ", but the main of spare " +
               spare.info().name + " has " + bytes(dmr_le64(sb.main_size)) +
               ": this is not its main device");
    }
    if (info.logical_block > DMR_BLOCK_SIZE || info.logical_block < spare.info().logical_block) {
        refuse(info.name + " has logical blocks of " + bytes(info.logical_block) + ", the spare " +
               spare.info().name + " of " + bytes(spare.info().logical_block) +
               "; main's must be at most 4096 and not below the spare's");
    }
}

void set_main_identity(dmr_superblock& sb, const std::string& text) {
    set_field(sb.main_text, sizeof(sb.main_text), text);
    const Digest digest = sha256(field_text(sb.main_text, sizeof(sb.main_text)));
    std::copy(digest.begin(), digest.end(), sb.main_digest);
}

void set_spare_identity(dmr_superblock& sb, const std::string& text) {
    set_field(sb.spare_text, sizeof(sb.spare_text), text);
    const Digest digest = sha256(field_text(sb.spare_text, sizeof(sb.spare_text)));
    std::copy(digest.begin(), digest.end(), sb.spare_digest);
}

Comparison compare_main(const dmr_superblock& sb, const Device& main) {
    return compare_identity(recorded_identity(sb.main_text, sb.main_digest), identity_of(main));
}

Comparison compare_spare(const dmr_superblock& sb, const Device& spare) {
    return compare_identity(recorded_identity(sb.spare_text, sb.spare_digest), identity_of(spare));
}

void require_spare_identity(dmr_superblock& sb, const Device& spare) {
    const Comparison comparison = compare_spare(sb, spare);
    if (!comparison.passes()) {
        refuse(spare.info().name + " is not the device it was formatted on (" +
               comparison.difference +
               "): a clone of a spare may be old, and old remaps are wrong " +
               "data; if this copy is the current one: dmremapctl rebind --main MAIN --force " +
               spare.info().name);
    }
    set_spare_identity(
        sb, united_identity(recorded_identity(sb.spare_text, sb.spare_digest), identity_of(spare)));
}

void require_identity(dmr_superblock& sb, Device& main, const Device& spare,
                      bool accept_changed_main) {
    require_spare_identity(sb, spare);
    const std::string& name = main.info().name;
    const Comparison comparison = compare_main(sb, main);
    const WitnessResult witness = check_witness(main, sb);
    if (!comparison.passes() && !(comparison.match == Match::unproven && witness.proves())) {
        refuse(name + " is not the main device of spare " + spare.info().name + " (" +
               comparison.difference + ")" +
               (witness.proves() ? "; its content is: if it was copied or moved, run: dmremapctl "
                                   "rebind --main " +
                                       name + " " + spare.info().name
                                 : "; attach the right one"));
    }
    if (witness.different != 0 && !accept_changed_main) {
        refuse(
            name + " was written while detached: " + std::to_string(witness.different) + " of " +
            std::to_string(witness.checked) +
            " witness blocks differ; remapped blocks may be older than the rest. To go on all the "
            "same: -o accept_changed_main");
    }
    // Where the witness alone proved it, what was recorded is stronger than what was found: it
    // stays, or after the next crash any device of this size would do.
    if (comparison.passes()) {
        set_main_identity(sb, united_identity(recorded_identity(sb.main_text, sb.main_digest),
                                              identity_of(main)));
    }
}

void require_sequences(const dmr_superblock& sb, std::uint64_t highest_entry_sequence,
                       const Device& spare) {
    constexpr std::uint64_t kLastEpoch = (DMR_SEQUENCE_LIMIT >> 32) - 2;
    if (dmr_le64(sb.sequence) >= DMR_SEQUENCE_LIMIT - (std::uint64_t{1} << 32) ||
        dmr_le64(sb.entry_epoch) >= kLastEpoch || highest_entry_sequence >> 32 >= kLastEpoch) {
        refuse(spare.info().name +
               " has used up its sequence numbers, as no honest use of it can; open it with -o ro");
    }
}

bool require_not_in_use(const dmr_superblock& sb, const Device& spare, bool take_over,
                        const std::string& consent) {
    if ((dmr_le32(sb.flags) & DMR_IN_USE) == 0) {
        return false;
    }
    Holder holder;
    std::copy(std::begin(sb.holder_machine), std::end(sb.holder_machine), holder.machine.begin());
    std::copy(std::begin(sb.holder_boot), std::end(sb.holder_boot), holder.boot.begin());
    holder.pid = dmr_le64(sb.holder_pid);
    holder.start = dmr_le64(sb.holder_start);
    holder.name = field_text(sb.holder_name, sizeof(sb.holder_name));
    const std::string who = holder.name + " (process " + std::to_string(holder.pid) + ")";
    switch (judge(holder)) {
        case HolderVerdict::alive:
            throw Refusal(RefusalKind::busy, spare.info().name + " is in use by " + who +
                                                 " of this machine; unmount that first");
        case HolderVerdict::other_machine:
            if (!take_over) {
                throw Refusal(
                    RefusalKind::busy,
                    spare.info().name + " is marked as in use by " + who +
                        " of another machine; if that one has surely let go of it: " + consent);
            }
            break;
        case HolderVerdict::ours:
        case HolderVerdict::earlier_boot:
        case HolderVerdict::dead:
            break;
    }
    return true;
}

void set_in_use(dmr_superblock& sb, const std::string& holder_name) {
    const Holder holder = this_holder(holder_name);
    std::copy(holder.machine.begin(), holder.machine.end(), sb.holder_machine);
    std::copy(holder.boot.begin(), holder.boot.end(), sb.holder_boot);
    sb.holder_pid = dmr_to_le64(holder.pid);
    sb.holder_start = dmr_to_le64(holder.start);
    set_field(sb.holder_name, sizeof(sb.holder_name), holder.name);
    sb.holder_since = dmr_to_le64(static_cast<std::uint64_t>(std::time(nullptr)));
    sb.flags = dmr_to_le32((dmr_le32(sb.flags) & ~(DMR_CLEAN | DMR_WITNESS)) | DMR_IN_USE);
}

void clear_in_use(dmr_superblock& sb) {
    std::memset(sb.holder_machine, 0, sizeof(sb.holder_machine));
    std::memset(sb.holder_boot, 0, sizeof(sb.holder_boot));
    std::memset(sb.holder_name, 0, sizeof(sb.holder_name));
    sb.holder_pid = sb.holder_start = sb.holder_since = 0;
    sb.flags = dmr_to_le32(dmr_le32(sb.flags) & ~DMR_IN_USE);
}

}  // namespace dmremap
