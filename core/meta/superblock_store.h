// SPDX-License-Identifier: GPL-2.0-or-later
// The superblock copies: which one counts, and how all are replaced.
//
// Fault model: a power cut may keep, drop, tear or garble any write since the last flush, each in
// the physical block it went to; any copy may rot at any time.
//
// Order of an update: the copies are split in two halves. One half is written and flushed; only
// then the other half, and flushed again. At every instant the half that is not being written holds
// a whole superblock, the old one or the new one. The second half always contains a copy that holds
// the newest update so far, so the newest is never under the pen while it is the only one.
// A copy that refuses the write is as good as gone; if that is true of the whole first half, copies
// of the second are tried one by one, but never the last that holds the newest.
//
// What an opener found may never have been flushed: a writer that was killed leaves its last half
// in the drive's cache, from where it reads back like the rest. So the first write is preceded by a
// flush, which makes the newest copies found the durable ones that the argument above needs.
//
// Sequences: the newest valid copy wins. A copy that cannot be read at open may hold an update that
// nobody saw, and the opener's number must be above it, or that copy wins when it is readable
// again. How far it may be ahead of the newest copy that is seen:
//   * 1: the last update that succeeded may stand in that copy alone;
//   * kFailedUpdates: a write that was refused may have landed all the same, so each update that
//     failed has used up its number. After so many in a row no further one is tried until the spare
//     is opened again; the first one that succeeds begins the count anew;
//   * kSequenceSkip: of an opener that saw that copy and was cut off in its first update.
// All three together stay below the 2 * kSequenceSkip that an opener goes on who misses a copy. One
// that sees them all goes half as far. This is about one copy, as P4 is, and about an opener cut
// off once: of several that miss the same copy two may use one number, and then the spare is
// refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/format.h"
#include "core/meta/examine.h"

namespace dmremap {

constexpr std::uint64_t kSequenceSkip = 16;
constexpr std::uint64_t kFailedUpdates = 14;
static_assert(1 + kFailedUpdates + kSequenceSkip < 2 * kSequenceSkip);

struct SuperblockScan {
    std::vector<SuperblockCopy> copies;
    std::optional<dmr_superblock> current;  // the newest valid one
    std::string fatal;  // not empty: why no copy can be trusted; current is then only informative
    // errno of a copy of which nobody can say whether it is damaged (metadata_read.h), or 0: the
    // newest may be that one, and current is only informative.
    int error = 0;
};

// Throws Refusal(system) when some copy could not be asked.
void require_answers(const SuperblockScan& scan, const Device& spare);

// Reads every copy that fits on the device. Never throws, never writes.
SuperblockScan scan_superblocks(Device& spare);

// Owned by whoever may write the superblock: the formatter, the opener, then the healer's thread.
class SuperblockStore {
public:
    SuperblockStore(Device& spare, const SuperblockScan& scan);

    // What was last written or found. Change a copy of it and give that to write().
    const dmr_superblock& current() const { return current_; }

    // Writes all copies in two flush windows, with the sequence advanced by `skip`. 0: durable in
    // at least one copy, and no copy is older garbage that could win. Otherwise an errno, and what
    // is on the spare is the old superblock or the new one; EIO without a write when it has given
    // up. Does not throw.
    int write(const dmr_superblock& next, std::uint64_t skip = 1);

    // kFailedUpdates in a row have failed: no update is tried any more.
    bool given_up() const { return failed_ >= kFailedUpdates; }

    // Whether a copy on the spare is what was last written. Does not throw.
    bool still_there();

    // Reads every copy again, and says how many do not hold what was last written; 0 as well when
    // none does, for then nothing is to be rewritten. Writes nothing: the next write() is to them
    // first. Does not throw.
    unsigned check();

    // How far an opener's first update goes on.
    std::uint64_t opening_skip() const { return missed_ ? 2 * kSequenceSkip : kSequenceSkip; }

    // Copies that could not be written by the last write().
    unsigned bad_copies() const;

    // What failed in some write() was a flush: nothing is known of what was written before it.
    bool flush_failed() const { return flush_failed_; }

private:
    int update();
    bool holds_newest(unsigned copy);
    int write_copies(std::span<const unsigned> which, unsigned& written);
    int flush();

    Device& spare_;
    dmr_superblock current_{};
    std::vector<bool> newest_;  // per copy: holds current_
    bool missed_ = false;       // some copy could not be read, or was not valid
    bool flushed_ = false;      // what was found at open is known to be durable
    bool flush_failed_ = false;
    std::uint64_t failed_ = 0;  // updates since the last one that succeeded
};

}  // namespace dmremap
