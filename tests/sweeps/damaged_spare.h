// SPDX-License-Identifier: GPL-2.0-or-later
// Damages a history's spare, looks what becomes of it, and takes the damage back.
//
// "As it must" means here: the right bytes, or EIO exactly for the sectors that were lost before.
// No way of looking may throw anything but a Refusal, write to main, or write at all when it said
// that it would not.
//
// Only what was touched is restored, so a case costs little more than its opens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.h"
#include "tests/sweeps/history.h"

namespace dmremap::test {

class DamagedSpare {
public:
    explicit DamagedSpare(History& history);
    ~DamagedSpare();

    // --- damage, at byte offsets of the spare
    void write(std::uint64_t offset, const void* data, std::uint64_t length);
    void flip(std::uint64_t offset, unsigned bit);
    void fill(std::uint64_t offset, std::uint64_t length, std::byte value);
    void garble(std::uint64_t offset, std::uint64_t length, std::uint64_t seed);
    void take_from(const std::vector<std::byte>& image, std::uint64_t from, std::uint64_t to,
                   std::uint64_t length);
    // Reads fail, until it is written or (for_good) for ever. That changes no bytes.
    void unreadable(std::uint64_t offset, std::uint64_t length, bool for_good);
    void unwritable(std::uint64_t offset, std::uint64_t length);
    void restore();

    // --- what becomes of it; each gives "" or what was wrong
    struct Expect {
        bool table = true;      // look at the table, too, when checking (slow)
        bool kill = false;      // after rw the process is killed instead of closing
        bool noticed = true;    // a check finds something to repair
        bool may_stay = false;  // something may be left to repair afterwards
    };
    // A check says so and writes nothing; read-only everything reads as it must.
    std::string reads(const Expect& expect);
    // Opens, everything reads as it must, and nothing is left to repair.
    std::string opens(const Expect& expect);
    // The same of whatever is on the spare now, which was not damaged here.
    std::string opens_as_it_is();
    // As opens(), and it opens once more with nothing to recover.
    std::string opens_twice(const Expect& expect);
    // repair_spare() leaves nothing to repair, and everything reads as it must.
    std::string repairs(const Expect& expect);
    // All of these.
    std::string recovers(const Expect& expect);
    // No way in, with one of the words in the sentence; nothing is written. With `rescue`: but
    // ro,rescue opens, warns, and reads as it must except for the blocks given, of which nobody
    // knows any more where they live; they read as they must or as main has them.
    std::string refused(const std::string& word);
    std::string rescued(const std::string& word, const std::vector<std::uint64_t>& blocks);
    // Opens and everything reads as it must, or a Refusal.
    std::string never_wrong();
    // Opens, blocks are given slots, others written anew; after a kill it opens once more, and all
    // reads as it must. (No slot in use was handed out.)
    std::string lives_on();

    std::uint64_t opened() const { return opened_; }

private:
    struct Damage {
        std::uint64_t offset;
        std::vector<std::byte> bytes;  // empty: a fault
        std::uint64_t length;
        Fault fault;
    };
    struct Way {
        std::unique_ptr<Disk> disk;  // null: refused
        std::string refusal;
        bool recovered = false;
        bool rescue_cause = false;
    };
    void apply(const Damage& damage);
    void again_as_damaged();
    Way open(bool read_only, bool rescue = false);
    void kill(Way& way);
    std::string writes_seen(const char* step, bool to_spare_too);
    std::string wrong_data(Disk& disk, const std::vector<std::uint64_t>& unknown = {});
    std::string wrong_block(Disk& disk, std::uint64_t block);
    std::string left_to_repair(const char* step, const Expect& expect);
    std::string way_in(const char* step, bool read_only, const Expect& expect, bool second = false);

    History& history_;
    std::vector<Damage> damage_;
    std::mutex mutex_;  // what the media report
    std::vector<std::pair<std::uint64_t, std::uint64_t>> written_;
    std::uint64_t main_writes_ = 0, spare_writes_ = 0;
    std::vector<std::byte> buffer_;
    std::uint64_t opened_ = 0;
};

}  // namespace dmremap::test
