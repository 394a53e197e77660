// SPDX-License-Identifier: GPL-2.0-or-later
// Faults of the spare's metadata stay within what the promises cover: reads fail in one copy of the
// table, the same in the whole run, and in two superblock copies at most; in a storm writes fail in
// both. The pair is healed of storms and of failing flushes before it is opened again.
#include "tests/property/random_run.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <random>

#include "core/meta/examine.h"

namespace dmremap::test {

namespace {

class Run {
public:
    Run(const Profile& profile, std::uint64_t seed)
        : profile_(profile), rng_(seed), pair_(profile.shape) {
        pair_.fill_main(static_cast<std::uint32_t>(seed));
        pair_.format();
        pair_.open();
        oracle_ = std::make_unique<Oracle>(pair_);
        const dmr_superblock sb = pair_.superblock();
        page_size_ = dmr_le32(sb.page_size);
        pages_ = (dmr_le64(sb.slots) + dmr_entries_per_page(&sb) - 1) / dmr_entries_per_page(&sb);
        for (int copy = 0; copy < 2; ++copy)
            for (std::uint64_t page = 0; page < pages_; ++page)
                page_at_[copy].push_back(dmr_page_offset(&sb, copy, page) / kSector);
        bad_copy_ = static_cast<int>(rng_() % 2);
        copies_ = dmr_copies(pair_.spare->size());
        bad_superblock_ = static_cast<unsigned>(rng_() % copies_);
        hot_ = rng_() % pair_.main->size();
    }

    RunResult go(std::uint64_t seed, std::uint64_t operations) {
        RunResult result;
        std::uint64_t n = 0;
        std::string step;
        try {
            for (; n < operations && oracle_->problem().empty(); ++n) {
                weather();
                step = operation();
                if (n % 1000 == 999) oracle_->check();
                if (oracle_->may_be_read_only() && storm_left_ == 0) storm_left_ = 1 + below(20);
                if (storm_left_ != 0 && --storm_left_ == 0) open_again(rng_() % 2 == 0);
            }
            if (oracle_->problem().empty()) finish();
        } catch (const std::exception& e) {
            result.problem = std::string("thrown: ") + e.what();
        }
        if (result.problem.empty()) result.problem = oracle_->problem();
        if (!result.problem.empty())
            result.problem += std::string("\n  profile ") + profile_.name + ", seed " +
                              std::to_string(seed) + ", operation " + std::to_string(n) + " (" +
                              step + ")";
        add_totals();
        result.operations = n;
        result.remaps = remaps_;
        result.moves = moves_;
        result.opened = opened_;
        result.filled = pair_.saw(EventKind::spare_full);
        result.breaker = pair_.saw(EventKind::breaker_tripped);
        result.seen = oracle_->seen();
        return result;
    }

private:
    bool chance(unsigned in_ten_thousand) { return rng_() % 10000 < in_ten_thousand; }
    std::uint64_t below(std::uint64_t limit) { return rng_() % limit; }

    // Three of four operations and faults lie near one another, so that they meet.
    std::uint64_t place() {
        if (below(2000) == 0) hot_ = below(pair_.main->size());
        if (below(4) == 0) return below(pair_.main->size());
        return (hot_ + below(192 * 1024)) % pair_.main->size();
    }

    std::uint64_t length() {
        switch (below(16)) {
            case 0:
                return 1 + below(511);
            case 1:
                return 1 + below(9000);
            case 2:
                return kSector * (1 + below(256));
            case 3:
                return kBlock * (1 + below(32));
            case 4:
                return below(8) == 0 ? (1 << 20) + below(1 << 20) : kBlock;
            case 5:
            case 6:
            case 7:
            case 8:
                return kSector * (1 + below(8));
            default:
                return kBlock;
        }
    }

    struct Range {
        std::uint64_t offset, length;
    };
    Range range() {
        Range r{place(), length()};
        switch (below(4)) {
            case 0:
                break;
            case 1:
                r.offset = r.offset / kSector * kSector;
                break;
            default:
                r.offset = r.offset / kBlock * kBlock;
        }
        if (below(64) == 0) r.offset = pair_.main->size() - std::min(r.length, pair_.main->size());
        r.length = std::min(r.length, pair_.main->size() - r.offset);
        return r;
    }

    std::vector<std::byte> data(std::uint64_t length) {
        std::vector<std::byte> bytes(length);
        std::uint64_t value = rng_() | 1;
        for (std::byte& byte : bytes) {
            value = value * 6364136223846793005ull + 1442695040888963407ull;
            byte = static_cast<std::byte>(value >> 56);
        }
        return bytes;
    }

    Fault any_fault() {
        Fault fault;
        const auto kind = below(8);
        fault.read = kind < 6;
        fault.write = kind > 3;
        fault.heals = below(3) == 0;
        if (below(4) == 0) fault.times = 1 + static_cast<unsigned>(below(8));
        constexpr int kErrors[] = {EIO, EIO, EIO, ENODATA, EILSEQ, EREMOTEIO, ETIMEDOUT};
        fault.error = kErrors[below(std::size(kErrors))];
        return fault;
    }

    void weather() {
        if (chance(profile_.main_fault)) {
            const std::uint64_t sector = place() / kSector;
            const std::uint64_t count =
                std::min(1 + below(profile_.spot), pair_.sectors() - sector);
            pair_.main->set_fault(sector, count, any_fault());
        }
        if (chance(profile_.main_heal)) heal_one(*pair_.main);
        if (chance(profile_.slot_fault) && !oracle_->remaps().empty()) {
            auto victim = oracle_->remaps().lower_bound(place() / kBlock);
            if (victim == oracle_->remaps().end()) victim = oracle_->remaps().begin();
            // The slot of a remap, or one that will be handed out next.
            const std::uint64_t ahead = below(3) == 0 ? 8 * below(16) : 0;
            const std::uint64_t sector = victim->second.spare_sector + ahead + below(8);
            if (sector < pair_.spare->size() / kSector && pair_.in_slots(sector * kSector)) {
                pair_.spare->set_fault(sector, 1 + below(8 - sector % 8), any_fault());
                // Often a second fault in the slot: what has to move can not be read whole.
                if (below(2) == 0)
                    pair_.spare->set_fault(sector / 8 * 8 + below(8), 1, any_fault());
            }
        }
        if (chance(profile_.slot_fault)) heal_one(*pair_.spare);
        if (chance(profile_.meta_fault)) metadata_fault();
        if (chance(profile_.storm)) storm();
    }

    void heal_one(Medium& medium) {
        const auto faults = medium.faults();
        if (faults.empty()) return;
        auto at = faults.lower_bound(below(faults.rbegin()->first + 1));
        if (at != faults.end()) medium.heal(at->first, 8);
    }

    void metadata_fault() {
        const Fault fault = any_fault();
        if (below(3) == 0) {
            const std::uint64_t at = dmr_copy_offsets[bad_superblock_];
            pair_.spare->set_fault(at / kSector + below(8), 1, fault);
            return;
        }
        const auto& pages = page_at_[bad_copy_];
        const std::uint64_t page = pages[below(pages.size())];
        pair_.spare->set_fault(page + below(page_size_ / kSector), 1, fault);
    }

    // No page can be written in either copy, until the pair is opened again.
    void storm() {
        oracle_->expect_read_only();
        storm_left_ = std::max<std::uint64_t>(storm_left_, 1 + below(40));
        Fault fault;
        fault.write = true;
        for (const auto& pages : page_at_)
            for (const std::uint64_t page : pages)
                pair_.spare->set_fault(page, page_size_ / kSector, fault);
    }

    std::string operation() {
        if (chance(profile_.remount)) {
            open_again(true);
            return "close and open";
        }
        if (chance(profile_.drop)) {
            open_again(false);
            return "drop and open";
        }
        if (chance(profile_.flush_fault)) {
            failing_flush();
            return "failing flush";
        }
        if (chance(20)) {
            oracle_->salvage();
            return "salvage";
        }
        if (chance(20)) {
            const std::uint64_t first = place() / kSector;
            const std::uint64_t count = std::min(1 + below(8192), pair_.sectors() - first);
            oracle_->scan(first, count);
            return "scan " + std::to_string(first) + "+" + std::to_string(count);
        }
        if (chance(profile_.by_hand)) {
            const std::uint64_t first = place() / kSector;
            const std::uint64_t count =
                std::min(1 + below(below(4) == 0 ? 1024 : 24), pair_.sectors() - first);
            const bool unmap = below(3) != 0;
            unmap ? oracle_->unmap(first, count) : oracle_->remap(first, count);
            return std::string(unmap ? "unmap " : "remap ") + std::to_string(first) + "+" +
                   std::to_string(count);
        }
        const Range r = range();
        const std::string where = std::to_string(r.offset) + "+" + std::to_string(r.length);
        const auto what = below(100);
        if (what < 48) {
            oracle_->read(r.offset, r.length);
            return "read " + where;
        }
        if (what < 90) {
            oracle_->write(r.offset, data(r.length));
            return "write " + where;
        }
        if (what < 94) {
            oracle_->zero(r.offset, r.length);
            return "zero " + where;
        }
        if (what < 96) {
            oracle_->discard(r.offset, r.length);
            return "discard " + where;
        }
        oracle_->flush();
        return "flush";
    }

    void failing_flush() {
        Medium& medium = below(2) == 0 ? *pair_.main : *pair_.spare;
        std::atomic<bool> armed{true};
        medium.set_hook([&](const Call& call) {
            return call.op == Op::flush && armed.exchange(false) ? EIO : Medium::kPass;
        });
        oracle_->flush([&] { return !armed; });
        medium.set_hook(nullptr);
        if (!armed) storm_left_ = std::max<std::uint64_t>(storm_left_, 1 + below(20));
    }

    void add_totals() {
        if (!pair_.disk) return;
        const DiskStatus status = pair_.disk->status();
        remaps_ += status.totals.remaps;
        moves_ += status.totals.moves;
    }

    void open_again(bool in_order) {
        oracle_->check();
        add_totals();
        if (in_order) {
            const int error = pair_.disk->close();
            // What a close needs may be just what the test broke.
            if (error != 0 && !oracle_->may_be_read_only() && !pair_.spare->has_faults() &&
                !pair_.main->has_faults())
                throw std::runtime_error(std::string("close failed with ") + strerror(error));
            pair_.disk.reset();
        } else {
            pair_.crash();
        }
        if (oracle_->may_be_read_only() || below(2) == 0) heal_metadata();
        storm_left_ = 0;
        if (in_order && !oracle_->may_be_read_only() && !pair_.spare->has_faults()) examine();
        pair_.open();
        ++opened_;
        oracle_->reopened();
        oracle_->check();
    }

    void heal_metadata() {
        for (const auto& pages : page_at_)
            for (const std::uint64_t page : pages) pair_.spare->heal(page, page_size_ / kSector);
        for (unsigned i = 0; i < copies_; ++i)
            pair_.spare->heal(dmr_copy_offsets[i] / kSector, DMR_SUPERBLOCK_SIZE / kSector);
    }

    // After a clean close the spare must be without anything to repair and say the same.
    void examine() {
        const auto device = pair_.spare->device();
        const SpareReport report = examine_spare(*device, true);
        if (!report.fatal.empty()) throw std::runtime_error("examine: " + report.fatal.front());
        if (report.table.remapped != oracle_->remaps().size())
            throw std::runtime_error("the table on the spare holds " +
                                     std::to_string(report.table.remapped) + " remaps, the disk " +
                                     std::to_string(oracle_->remaps().size()));
        if (!(dmr_le32(report.superblock.flags) & DMR_CLEAN))
            throw std::runtime_error("no clean mark after a close");
    }

    // All faults heal; what is not lost must be readable, before and after one more opening.
    void finish() {
        pair_.main->heal_all();
        pair_.spare->heal_all();
        open_again(true);
        oracle_->salvage();
        oracle_->read_all();
        oracle_->check();
        if (!oracle_->problem().empty()) return;
        open_again(false);
        oracle_->read_all();
    }

    const Profile& profile_;
    std::mt19937_64 rng_;
    TestPair pair_;
    std::unique_ptr<Oracle> oracle_;
    std::uint64_t page_size_ = 0, pages_ = 0;
    std::vector<std::uint64_t> page_at_[2];  // sectors of the spare
    int bad_copy_ = 0;
    unsigned copies_ = 0, bad_superblock_ = 0;
    std::uint64_t hot_ = 0, storm_left_ = 0;
    std::uint64_t remaps_ = 0, moves_ = 0, opened_ = 0;
};

}  // namespace

RunResult random_run(const Profile& profile, std::uint64_t seed, std::uint64_t operations) {
    try {
        return Run(profile, seed).go(seed, operations);
    } catch (const std::exception& e) {
        RunResult result;
        result.problem = std::string("thrown while preparing: ") + e.what();
        return result;
    }
}

}  // namespace dmremap::test
