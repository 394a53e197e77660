// SPDX-License-Identifier: GPL-2.0-or-later
// Order of writes: an old spare's superblock copies are zeroed and flushed; the first step of the
// table is initialised in both copies and flushed; then the superblock copies are written in two
// flush windows. Before the first of those the spare is no spare, after it a complete one.
#include "core/meta/format_spare.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <vector>

#include "core/meta/opening_checks.h"
#include "core/meta/page_io.h"
#include "core/meta/scan_record.h"
#include "core/meta/superblock_store.h"
#include "core/meta/table_load.h"
#include "core/meta/table_step.h"
#include "core/meta/uuid.h"
#include "core/parameters.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

[[noreturn]] void refuse(const std::string& sentence) {
    throw Refusal(RefusalKind::refused, sentence);
}

dmr_superblock new_superblock(Device& main, Device& spare, const FormatOptions& options) {
    dmr_superblock sb{};
    std::memcpy(sb.magic, DMR_MAGIC, sizeof(sb.magic));
    sb.version = dmr_to_le32(DMR_VERSION);
    Uuid uuid = random_uuid();
    if (!options.uuid.empty()) {
        const auto given = parse_uuid(options.uuid);
        if (!given) {
            throw Refusal(RefusalKind::usage, "not a UUID: " + options.uuid);
        }
        uuid = *given;
    }
    std::copy(uuid.begin(), uuid.end(), sb.uuid);
    require_label(options.label);
    std::memcpy(sb.label, options.label.data(), options.label.size());
    sb.created = dmr_to_le64(static_cast<std::uint64_t>(std::time(nullptr)));
    sb.main_size = dmr_to_le64(main.info().size);
    sb.spare_size = dmr_to_le64(spare.info().size);
    sb.main_logical_block = dmr_to_le32(main.info().logical_block);
    sb.spare_logical_block = dmr_to_le32(spare.info().logical_block);
    sb.spare_physical_block = dmr_to_le32(spare.info().physical_block);
    dmr_lay_out(&sb);
    const std::uint64_t first_step = std::min<std::uint64_t>(
        next_table_step(sb, 0) * dmr_entries_per_page(&sb), dmr_le64(sb.slots));
    sb.table_ready = dmr_to_le64(first_step);
    // Clean, but without a witness: main may be written until the first mount.
    sb.flags = dmr_to_le32(DMR_CLEAN);
    store_parameters(Parameters{}, sb);
    if (options.scan) {
        ScanRecord record;
        record.state = DMR_SCAN_RUNNING;
        record.end = dmr_main_blocks(&sb);
        record.pass_start = dmr_le64(sb.created);
        store_scan_record(record, sb);
    }
    set_main_identity(sb, main.info().identity);
    set_spare_identity(sb, spare.info().identity);
    return sb;
}

void refuse_unfit(const Device& main, const Device& spare) {
    const DeviceInfo& m = main.info();
    const DeviceInfo& s = spare.info();
    if (s.size < DMR_SPARE_MIN) {
        refuse(s.name + " has " + std::to_string(s.size) + " bytes; a spare needs at least " +
               std::to_string(DMR_SPARE_MIN));
    }
    if (s.physical_block > DMR_PAGE_MAX) {
        refuse(s.name + " has physical blocks of " + std::to_string(s.physical_block) +
               " bytes; at most " + std::to_string(DMR_PAGE_MAX) + " can be used as a spare");
    }
    if (s.read_only) {
        refuse(s.name + " is read-only; a spare must be writable");
    }
    if (m.logical_block > DMR_BLOCK_SIZE || s.logical_block > m.logical_block) {
        refuse("logical blocks do not fit: " + m.name + " has " + std::to_string(m.logical_block) +
               " bytes, " + s.name + " has " + std::to_string(s.logical_block) +
               "; main's must be at most 4096 and not below the spare's");
    }
    if (m.size == 0 || m.size % m.logical_block != 0) {
        refuse(m.name + " has " + std::to_string(m.size) +
               " bytes, not a multiple of its logical block of " + std::to_string(m.logical_block));
    }
}

// "12 blocks", as far as it can be known.
std::string blocks_held(const dmr_superblock& sb, Device& spare) {
    // One that claims to be larger than its device has no table that could be counted.
    if (dmr_le64(sb.spare_size) > spare.info().size) {
        return "an unknown number of blocks";
    }
    const TableReport table = load_table(spare, sb).report;
    const std::string count = std::to_string(table.remapped) + " blocks";
    return table_damage(table).empty() ? count
                                       : "at least " + count + " (its entry table is damaged)";
}

// Whoever names a disk may not think of what is in its partitions.
void refuse_live_inside(const Device& spare, const FormatOptions& options) {
    const auto named = parse_uuid(options.destroy_uuid);
    for (const SpareInside& inside : options.inside) {
        if (named && uuid_text(named->data()) == inside.uuid) {
            continue;
        }
        refuse(
            "partition " + std::to_string(inside.partition) + " of " + spare.info().name +
            " is the dm-remap spare " + inside.uuid +
            ", which holds the only copy of blocks of its main device; to destroy it: --destroy=" +
            inside.uuid + " and --force" +
            (options.inside.size() > 1 ? "; of several such partitions overwrite the others first"
                                       : ""));
    }
}

// A spare that lives is destroyed only by naming it.
void refuse_live(const SuperblockScan& scan, Device& spare, const FormatOptions& options) {
    const std::string& name = spare.info().name;
    if (!scan.current) {
        for (const SuperblockCopy& copy : scan.copies) {
            if ((copy.verdict == DMR_BAD_VERSION || copy.verdict == DMR_BAD_FEATURES) ||
                (copy.read_error == 0 && copy.verdict != DMR_NOT_OURS && !options.force)) {
                refuse(name + " holds what is left of a dm-remap spare (" +
                       verdict_name(copy.verdict) +
                       "); see dmremapctl examine, and use --force when it is worth nothing");
            }
        }
        return;
    }
    const std::string uuid = uuid_text(scan.current->uuid);
    const auto wanted = parse_uuid(options.destroy_uuid);
    if (wanted && uuid_text(wanted->data()) == uuid) {
        if (!scan.fatal.empty() && !options.force) {
            refuse(name + ": " + scan.fatal + "; to destroy all of it: --force as well");
        }
        require_not_in_use(*scan.current, spare, options.take_over, "--take-over");
        return;
    }
    refuse(name + " is the dm-remap spare " + uuid + " and holds the only copy of " +
           blocks_held(*scan.current, spare) + " of its main device; to destroy it: --destroy=" +
           uuid + (options.destroy_uuid.empty() ? "" : " (not " + options.destroy_uuid + ")") +
           (options.foreign.empty() ? "" : ", and --force: it holds " + options.foreign + ", too"));
}

void refuse_unless_zero(Device& spare, std::uint64_t offset, std::uint64_t length) {
    std::vector<std::uint8_t> data(length);
    const int error = spare.read(offset, data.data(), length);
    if (error == 0 && std::all_of(data.begin(), data.end(), [](auto b) { return b == 0; })) {
        return;
    }
    refuse(spare.info().name +
           (error == 0 ? " is not empty: bytes other than zero at " + std::to_string(offset)
                       : " cannot be read at " + std::to_string(offset) + " (" +
                             std::strerror(error) + "), so nobody knows whether it is empty") +
           "; to overwrite it: --force");
}

// Also where a spare is to be destroyed: whoever made a file system over one may not know that its
// copies further in are still there, and means the spare alone.
void refuse_foreign(Device& spare, const FormatOptions& options) {
    if (!options.foreign.empty()) {
        refuse(spare.info().name + " holds " + options.foreign + "; to overwrite it: --force" +
               (options.destroy_uuid.empty() ? "" : " as well"));
    }
}

void refuse_not_empty(const dmr_superblock& sb, Device& spare) {
    for (unsigned i = 0; i < dmr_copies(spare.info().size); i++) {
        refuse_unless_zero(spare, dmr_copy_offsets[i], DMR_SUPERBLOCK_SIZE);
    }
    for (std::uint64_t page = 0; page < pages_for(sb, dmr_le64(sb.table_ready)); page++) {
        for (const int copy : {0, 1}) {
            refuse_unless_zero(spare, dmr_page_offset(&sb, copy, page), dmr_le32(sb.page_size));
        }
    }
}

void must(int error, const Device& spare, const char* what) {
    if (error != 0) {
        throw Refusal(RefusalKind::system,
                      spare.info().name + ": " + what + ": " + std::strerror(error) +
                          "; what is left on it: dmremapctl examine " + spare.info().name);
    }
}

// Also what makes it look like something else, which an opener would refuse: signatures lie in the
// edges, where nothing of ours does but one superblock copy.
void destroy_old(Device& spare, bool foreign) {
    if (foreign) {
        const std::vector<std::uint8_t> edge(DMR_EDGE);
        for (const std::uint64_t at :
             std::array<std::uint64_t, 2>{0, spare.info().size - DMR_EDGE}) {
            must(spare.write(at, edge.data(), edge.size()), spare,
                 "what it held cannot be overwritten");
        }
    }
    const std::vector<std::uint8_t> zeros(DMR_SUPERBLOCK_SIZE);
    for (unsigned i = 0; i < dmr_copies(spare.info().size); i++) {
        must(spare.write(dmr_copy_offsets[i], zeros.data(), zeros.size()), spare,
             "a superblock's place cannot be written");
    }
    must(spare.flush(), spare, "flush failed");
}

}  // namespace

void require_label(const std::string& label) {
    if (label.size() >= sizeof(dmr_superblock::label)) {
        throw Refusal(RefusalKind::usage,
                      "the label has " + std::to_string(label.size()) + " bytes, at most 63 fit");
    }
}

FormatResult format_spare(Device& main, Device& spare, const FormatOptions& options) {
    refuse_unfit(main, spare);
    const SuperblockScan of_main = scan_superblocks(main);
    require_answers(of_main, main);
    // The second: one of a version or with features that only a newer program knows.
    if (of_main.current || !of_main.fatal.empty()) {
        refuse(main.info().name +
               " is a dm-remap spare itself, it cannot be a main device; are "
               "main and spare swapped?");
    }
    SuperblockScan scan = scan_superblocks(spare);
    require_answers(scan, spare);
    refuse_live(scan, spare, options);
    refuse_live_inside(spare, options);
    dmr_superblock sb = new_superblock(main, spare, options);
    const bool destroying = scan.current.has_value();
    if (!options.force) {
        refuse_foreign(spare, options);
        if (!destroying) {
            refuse_not_empty(sb, spare);
        }
    }

    destroy_old(spare, !options.foreign.empty());
    std::vector<std::uint8_t> bad;
    const std::uint64_t pages = pages_for(sb, dmr_le64(sb.table_ready));
    must(initialise_pages(spare, sb, 0, pages, bad), spare,
         "a page of the entry table cannot be written");
    must(spare.flush(), spare, "flush failed");
    for (const std::uint8_t page : bad) {
        must(page == 0 ? 0 : EIO, spare, "a page of the entry table cannot be written");
    }
    scan.current.reset();
    for (SuperblockCopy& copy : scan.copies) {
        copy.newest = false;
    }
    SuperblockStore store(spare, scan);
    must(store.write(sb), spare, "the superblock cannot be written");
    must(store.bad_copies() == 0 ? 0 : EIO, spare, "a superblock copy cannot be written");

    FormatResult result;
    result.uuid = uuid_text(sb.uuid);
    result.main_size = dmr_le64(sb.main_size);
    result.spare_size = dmr_le64(sb.spare_size);
    result.slots = dmr_le64(sb.slots);
    result.superblock_copies = dmr_copies(spare.info().size);
    return result;
}

}  // namespace dmremap
