// SPDX-License-Identifier: GPL-2.0-or-later
// Does an operation on a disk and judges the answer against a plain model of it in memory.
//
// What the model knows of each sector:
//   its value   the bytes last written with success, or a set of them where a write failed or a
//               discard was done (old, new): a read settles which
//   a stain     a device failed to read it where it lives, and it was not written nor read since:
//               only such a sector may be lost
// An error is right only when the devices explain it:
//   read        a sector of the caller's range, widened to main's logical blocks, is lost and
//               stained, or failed in its home at the last attempt within this operation
//   write       part of an unreadable logical block was asked for; or main (or the slot) failed the
//               write, and the spare is full, failed too, or relocation is off (breaker)
//   any         the disk's state is read_only or failed, which the test must have caused: it said
//               so, or broke a page while there is no slot its entries could move to
// check() compares what the disk says of itself with itself and with the model.
//
// One thread calls; the media report failures on any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tests/support/test_pair.h"

namespace dmremap::test {

class Oracle {
public:
    explicit Oracle(TestPair& pair);  // formatted and open; main's bytes are the first values
    ~Oracle();

    void read(std::uint64_t offset, std::uint64_t length);
    void write(std::uint64_t offset, const std::vector<std::byte>& data);
    void zero(std::uint64_t offset, std::uint64_t length);
    void discard(std::uint64_t offset, std::uint64_t length);
    // `device_failed`, when given, tells after the flush whether a device failed one.
    void flush(const std::function<bool()>& device_failed = nullptr);
    void salvage();
    void scan(std::uint64_t first, std::uint64_t count);   // sectors; waits for its end
    void remap(std::uint64_t first, std::uint64_t count);  // sectors
    void unmap(std::uint64_t first, std::uint64_t count);
    void check();
    // Reads all of the disk, block by block.
    void read_all();
    // The pair was opened again.
    void reopened();

    // Until the next reopening the disk may turn read-only and fence blocks: the test broke both
    // copies of a page, or a flush.
    void expect_read_only() { may_be_read_only_ = true; }
    bool may_be_read_only() const { return may_be_read_only_; }

    // The slots a test may break: main block -> spare sector.
    const std::map<std::uint64_t, RemapInfo>& remaps() const { return remaps_; }

    const std::string& problem() const { return problem_; }  // "" while all is right

    struct Seen {
        std::uint64_t read_errors = 0, write_errors = 0, no_space = 0, settled = 0, lost = 0,
                      salvaged = 0, scans = 0, slot_faults = 0, by_hand = 0, unmapped = 0,
                      refused = 0;
    };
    const Seen& seen() const { return seen_; }

private:
    using Bytes = std::array<std::byte, kSector>;
    enum class Outcome { done, maybe };
    struct Range {
        std::uint64_t first, end;  // sectors
    };

    void begin();
    void refresh();  // the list of remaps, when a device failed since
    void fail(const std::string& what);
    void judge_by_hand(const char* what, const RangeResult& result, std::uint64_t first,
                       std::uint64_t count, bool explained);
    Range widened(std::uint64_t offset, std::uint64_t length) const;
    bool unreadable(std::uint64_t sector) const;
    void excuse_read_only(const DiskStatus& status);
    bool write_error_explained(std::uint64_t offset, std::uint64_t length);
    void store(std::uint64_t offset, const std::byte* data, std::uint64_t length, Outcome outcome);
    void judge_write(const char* what, int error, std::uint64_t offset, const std::byte* data,
                     std::uint64_t length);
    void on_main(bool failed, Op op, std::uint64_t first, std::uint64_t count);
    void on_spare(bool failed, Op op, std::uint64_t first, std::uint64_t count);

    TestPair& pair_;
    std::uint64_t unit_;  // sectors of a logical block of main
    std::vector<std::byte> bytes_;
    std::unordered_map<std::uint64_t, std::vector<Bytes>> others_;  // besides bytes_
    std::map<std::uint64_t, RemapInfo> remaps_;                     // by main block
    std::vector<bool> spare_slot_;                                  // by 4 KiB of the spare
    std::uint64_t slot_limit_ = 0;
    std::uint64_t refreshed_at_ = ~0ull;  // failed calls of both media
    bool may_be_read_only_ = false;
    bool flush_failed_ = false;
    std::unordered_set<std::uint64_t> touched_;  // blocks of failed operations: may be fenced
    std::string problem_;
    Seen seen_;

    // Guarded by mutex_: what the media report.
    mutable std::mutex mutex_;
    std::vector<bool> stain_;
    std::unordered_map<std::uint64_t, std::uint64_t> block_of_slot_;  // by spare sector / 8
    std::unordered_set<std::uint64_t> unread_;  // in this operation, last attempt: main sectors
    std::unordered_set<std::uint64_t> slot_unread_;
    bool main_write_failed_ = false, slot_write_failed_ = false, slot_read_failed_ = false,
         metadata_failed_ = false;
    bool metadata_failed_ever_ = false;  // since the pair was opened
};

}  // namespace dmremap::test
