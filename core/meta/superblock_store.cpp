// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/superblock_store.h"

#include <algorithm>
#include <array>
#include <boost/container/static_vector.hpp>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/device/patience.h"
#include "core/meta/metadata_read.h"

namespace dmremap {

namespace {

// Numbers of superblock copies; asks for no memory.
using Copies = boost::container::static_vector<unsigned, DMR_COPIES_MAX>;

std::span<const unsigned> as_span(const Copies& copies) { return {copies.data(), copies.size()}; }

bool same_update(const dmr_superblock& a, const dmr_superblock& b) {
    return std::memcmp(&a, &b, offsetof(dmr_superblock, crc)) == 0;
}

// Why two valid copies can not both be believed; "" when they can.
std::string contradiction(const dmr_superblock& a, const dmr_superblock& b) {
    if (std::memcmp(a.uuid, b.uuid, sizeof(a.uuid)) != 0) {
        return "superblock copies of two different spares";
    }
    if (a.sequence == b.sequence && !same_update(a, b)) {
        return "two superblock copies of one sequence differ";
    }
    return "";
}

}  // namespace

SuperblockScan scan_superblocks(Device& spare) {
    SuperblockScan scan;
    std::vector<dmr_superblock> contents(dmr_copies(spare.info().size));
    for (unsigned i = 0; i < contents.size(); i++) {
        SuperblockCopy copy;
        copy.offset = dmr_copy_offsets[i];
        copy.read_error = read_metadata(spare, copy.offset, &contents[i], sizeof(dmr_superblock));
        if (copy.read_error != 0 && !is_damage(copy.read_error)) {
            scan.error = copy.read_error;
        }
        if (copy.read_error == 0) {
            copy.verdict = dmr_superblock_verdict(&contents[i], copy.offset);
        }
        if (copy.read_error == 0 && copy.verdict == DMR_OK) {
            copy.sequence = dmr_le64(contents[i].sequence);
            // Of older copies too: who made them wrote more than this one truth.
            for (unsigned other = 0; other < i && scan.fatal.empty(); other++) {
                if (scan.copies[other].read_error == 0 && scan.copies[other].verdict == DMR_OK) {
                    scan.fatal = contradiction(contents[other], contents[i]);
                }
            }
            if (!scan.current || dmr_superblock_newer(&contents[i], &*scan.current)) {
                scan.current = contents[i];
            }
        } else if (copy.verdict == DMR_BAD_VERSION || copy.verdict == DMR_BAD_FEATURES) {
            scan.fatal = std::string("a superblock copy is of ") + verdict_name(copy.verdict);
        }
        scan.copies.push_back(copy);
    }
    for (unsigned i = 0; i < contents.size(); i++) {
        SuperblockCopy& copy = scan.copies[i];
        copy.newest = scan.current && copy.read_error == 0 && copy.verdict == DMR_OK &&
                      same_update(*scan.current, contents[i]);
    }
    return scan;
}

void require_answers(const SuperblockScan& scan, const Device& spare) {
    if (scan.error != 0) {
        refuse_unread(spare, "a superblock copy", scan.error);
    }
}

SuperblockStore::SuperblockStore(Device& spare, const SuperblockScan& scan) : spare_(spare) {
    if (scan.current) {
        current_ = *scan.current;
    }
    for (const SuperblockCopy& copy : scan.copies) {
        newest_.push_back(copy.newest);
        missed_ = missed_ || copy.read_error != 0 || copy.verdict != DMR_OK;
    }
}

int SuperblockStore::write_copies(std::span<const unsigned> which, unsigned& written) {
    int error = 0;
    for (const unsigned i : which) {
        dmr_superblock image = current_;
        image.crc = dmr_to_le32(dmr_superblock_crc(&image, dmr_copy_offsets[i]));
        const auto once = [&] { return spare_.write(dmr_copy_offsets[i], &image, sizeof(image)); };
        int failed = patiently(once);
        if (classify(failed) == ErrorClass::medium) {
            failed = patiently(once);
        }
        newest_[i] = failed == 0;
        if (failed != 0) {
            error = failed;
        } else {
            written++;
        }
    }
    return error;
}

int SuperblockStore::flush() {
    const int error = spare_.flush();
    flush_failed_ = flush_failed_ || error != 0;
    return error;
}

int SuperblockStore::write(const dmr_superblock& next, std::uint64_t skip) {
    if (given_up()) {
        return EIO;
    }
    if (!flushed_) {
        if (const int failed = flush(); failed != 0) {
            return failed;
        }
        flushed_ = true;
    }
    const std::uint64_t sequence = dmr_le64(current_.sequence) + skip;
    current_ = next;
    current_.sequence = dmr_to_le64(sequence);
    current_.written = dmr_to_le64(static_cast<std::uint64_t>(std::time(nullptr)));
    const int error = update();
    failed_ = error == 0 ? 0 : failed_ + 1;
    return error;
}

// Writes current_ to all copies.
int SuperblockStore::update() {
    Copies first, second, good;
    for (unsigned i = 0; i < newest_.size(); i++) {
        (newest_[i] ? good : first).push_back(i);
    }
    if (good.empty()) {  // a new spare
        good.swap(first);
    }
    for (unsigned i = 0; i < good.size(); i++) {
        (i < good.size() / 2 ? first : second).push_back(good[i]);
    }
    unsigned written = 0;
    int error = write_copies(as_span(first), written);
    while (written == 0 && second.size() > 1) {
        error = write_copies(as_span(second).first(1), written);
        second.erase(second.begin());
    }
    if (written == 0) {
        return error != 0 ? error : EIO;
    }
    if (const int failed = flush(); failed != 0) {
        return failed;
    }
    write_copies(as_span(second), written);
    return flush();
}

bool SuperblockStore::holds_newest(unsigned copy) {
    dmr_superblock found;
    return spare_.read(dmr_copy_offsets[copy], &found, sizeof(found)) == 0 &&
           dmr_superblock_verdict(&found, dmr_copy_offsets[copy]) == DMR_OK &&
           same_update(found, current_);
}

bool SuperblockStore::still_there() {
    for (unsigned i = 0; i < newest_.size(); i++) {
        if (holds_newest(i)) {
            return true;
        }
    }
    return false;
}

unsigned SuperblockStore::check() {
    std::array<bool, DMR_COPIES_MAX> holds{};
    bool any = false;
    for (unsigned i = 0; i < newest_.size(); i++) {
        holds.at(i) = holds_newest(i);
        any = any || holds.at(i);
    }
    // Without one that can be relied on there is no order in which to write them.
    if (!any) {
        return 0;
    }
    std::copy_n(holds.begin(), newest_.size(), newest_.begin());
    return bad_copies();
}

unsigned SuperblockStore::bad_copies() const {
    unsigned bad = 0;
    for (const bool newest : newest_) {
        bad += newest ? 0 : 1;
    }
    return bad;
}

}  // namespace dmremap
