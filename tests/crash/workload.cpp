// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/workload.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

#include "core/engine/gates.h"
#include "core/meta/examine.h"
#include "tests/crash/user.h"

namespace dmremap::test {

namespace {

constexpr unsigned kOperations = 250;

class Life {
public:
    Life(const Profile& profile, std::uint64_t seed, Values& values, Start& start,
         std::mt19937_64& rng)
        : rng_(rng),
          start_(start),
          machine_(profile.shape),
          user_(machine_, values),
          unit_(profile.shape.main_logical / kSector),
          sectors_(profile.shape.main_size / kSector),
          page_fault_at_(70 + seed % 40),
          superblock_fault_at_(150 + seed % 40) {
        machine_.load(start.state);
        for (const auto& [block, spot] : start.blocks)
            if (spot != Spot::reserve) blocks_.push_back(block);
    }

    void live(Recording& recording) {
        open();
        unsigned n = 0;
        for (; n < kOperations && user_.problem().empty(); ++n) {
            if (n == page_fault_at_) break_page();
            if (n == superblock_fault_at_) break_superblock();
            operation();
            if (below(4) == 0) user_.flush();
        }
        if (user_.problem().empty()) open_again(true);
        user_.close();
        happened_.operations = n;
        happened_.grown = grown();
        recording.happened = happened_;
        recording.tape = machine_.tape();
        recording.problem = user_.problem();
    }

private:
    std::uint64_t below(std::uint64_t limit) { return rng_() % limit; }
    std::uint64_t any_block() { return blocks_[below(blocks_.size())]; }
    bool in_area(std::uint64_t block) const {
        return std::binary_search(blocks_.begin(), blocks_.end(), block);
    }
    std::uint64_t length_of(std::uint64_t block) const {
        return std::min<std::uint64_t>(8, sectors_ - block * 8) * kSector;
    }
    const RemapInfo* any_remap(const std::function<bool(const RemapInfo&)>& fits) {
        std::vector<const RemapInfo*> found;
        for (const auto& [block, remap] : machine_.remaps())
            if (fits(remap)) found.push_back(&remap);
        return found.empty() ? nullptr : found[below(found.size())];
    }
    bool has_faults(Side side, std::uint64_t first, std::uint64_t count) const {
        const auto& faults = machine_.faults()[index(side)];
        const auto at = faults.lower_bound(first);
        return at != faults.end() && *at < first + count;
    }
    void takes_no_writes(Side side, std::uint64_t first, std::uint64_t count, bool on) {
        machine_.mark(
            {.kind = Mark::Kind::takes_no, .side = side, .on = on, .first = first, .count = count});
    }
    void readable(Side side, std::uint64_t first, std::uint64_t count, bool on) {
        machine_.mark(
            {.kind = Mark::Kind::readable, .side = side, .on = on, .first = first, .count = count});
    }
    void may_fail(std::uint64_t first, std::uint64_t count) {
        machine_.mark({.kind = Mark::Kind::may_fail, .first = first, .count = count});
    }

    void operation() {
        switch (below(22)) {
            case 0:
                return many_at_once();
            case 1:
                return under_way_elsewhere();
            case 2:
                return salvage();
            case 3:
                return spoil_main();
            case 4:
                return break_slot();
            case 5:
                return spoil_slot();
            case 6:
                return below(2) == 0 ? open_again(below(2) == 0) : single(Op::read);
            case 7:
                return below(3) == 0 ? killed_in_flight() : single(Op::read);
            case 8:
                return single(below(2) == 0 ? Op::discard : Op::zero);
            case 9:
            case 10:
            case 11:
                return single(Op::read);
            case 12:
            case 13:
                return write_lost();
            case 14:
                return odd_bytes();
            case 15:
            case 16:
                return by_hand();
            default:
                return single(Op::write);
        }
    }

    // Some sectors of a block, or a block, or it and its neighbour.
    void single(Op op) {
        const std::uint64_t block = any_block(), units = length_of(block) / kSector / unit_;
        std::uint64_t first = block * 8, count = units * unit_;
        if (below(2) == 0) {
            const std::uint64_t from = below(units), n = 1 + below(units - from);
            first += from * unit_;
            count = n * unit_;
        } else if (below(3) == 0 && in_area(block + 1)) {
            count += length_of(block + 1) / kSector;
        }
        user_.run(op, first * kSector, count * kSector);
    }

    void by_hand() {
        const RemapInfo* const remap = any_remap([&](const RemapInfo& r) {
            return r.lost == 0 && !has_faults(Side::main, r.sector, 8);
        });
        const std::uint64_t some = any_block(), blocks = 1 + below(3);
        if (remap != nullptr && below(3) != 0)
            return user_.unmap(remap->sector, length_of(remap->sector / 8) / kSector);
        std::uint64_t count = length_of(some) / kSector;
        for (std::uint64_t b = some + 1; b < some + blocks && in_area(b); ++b)
            count += length_of(b) / kSector;
        if (below(4) == 0)
            user_.unmap(some * 8, count);
        else
            user_.remap(some * 8, count);
    }

    void odd_bytes() {
        const std::uint64_t block = any_block(), size = length_of(block), from = below(size - 1);
        user_.run(below(4) == 0 ? Op::zero : Op::write, block * kBlock + from,
                  1 + below(size - from));
    }

    // Some or all of a block with lost sectors; or a part of a lost sector, which is EIO.
    void write_lost() {
        const RemapInfo* const lost = any_remap([](const RemapInfo& r) { return r.lost != 0; });
        if (lost == nullptr) return single(Op::write);
        const std::uint64_t block = lost->sector / 8;
        if (below(3) == 0) return user_.run(Op::write, block * kBlock, length_of(block));
        std::uint64_t s = below(length_of(block) / kSector);
        while ((lost->lost >> s & 1) == 0) s = (s + 1) % 8;
        s = s / unit_ * unit_;
        if (below(4) == 0)
            user_.run(Op::write, block * kBlock + s * kSector + 100, 200);
        else
            user_.run(below(3) == 0 ? Op::zero : Op::write, block * kBlock + s * kSector,
                      unit_ * kSector);
    }

    // Requests to several blocks, in flight together: they end in any order, and what they need of
    // the healer shares a commit. A read of another region, which is let go last, keeps the healer
    // busy until all have come; where there is but one region, a read keeps it out of that.
    void many_at_once() {
        machine_.note("many at once");
        const std::uint64_t regions = (sectors_ * kSector + kRegionSize - 1) / kRegionSize;
        const std::uint64_t apart = below(regions), quiet = quiet_block(apart);
        std::set<std::uint64_t> chosen;
        const std::uint64_t n = 3 + below(5);
        for (unsigned tries = 0; chosen.size() < n && tries < 60; ++tries) {
            const std::uint64_t block = any_block();
            const auto remap = machine_.remaps().find(block);
            if ((regions == 1 || block * kBlock >> kRegionShift != apart) &&
                (remap == machine_.remaps().end() || remap->second.lost == 0))
                chosen.insert(block);
        }
        machine_.hold([](Side, const Io&) { return true; });
        User::InFlight asked;
        if (regions == 1)
            asked.push_back(user_.ask(Op::read, quiet * kBlock, unit_ * kSector));
        else
            asked.push_back(user_.ask(Op::read, quiet * kBlock + 100, 200));
        machine_.wait_held();
        for (const std::uint64_t block : chosen)
            asked.push_back(
                user_.ask(below(5) == 0 ? Op::read : Op::write, block * kBlock, length_of(block)));
        const RemapInfo* const lost = any_remap([&](const RemapInfo& r) {
            return r.lost != 0 && (regions == 1 || r.sector * kSector >> kRegionShift != apart);
        });
        if (lost != nullptr)
            asked.push_back(
                user_.ask(Op::write, lost->sector * kSector, length_of(lost->sector / 8)));
        machine_.hold(nullptr);
        while (machine_.held() > 1) machine_.release(1 + below(machine_.held() - 1));
        machine_.release(0);
        for (auto& one : asked) user_.finish(std::move(one));
        user_.learn_homes();
    }

    // A block of a region that nobody ever touches; reads of it lie outside of the area.
    std::uint64_t quiet_block(std::uint64_t region) const {
        const auto& place = machine_.model().area().place;
        std::uint64_t block = (region << kRegionShift) / kBlock;
        while (block * 8 < sectors_ && place[block * 8] >= 0) ++block;
        return block;
    }

    // A write to a slot lies in the drive while another region relocates, commits and is flushed.
    void under_way_elsewhere() {
        const RemapInfo* const remap = any_remap([&](const RemapInfo& r) {
            return r.lost == 0 && !has_faults(Side::spare, r.spare_sector, 8);
        });
        if (remap == nullptr || user_.disk().status().retired_pages != 0) return single(Op::write);
        const std::uint64_t block = remap->sector / 8, spare_sector = remap->spare_sector;
        machine_.hold([=](Side side, const Io& io) {
            return side == Side::spare && io.op == Op::write &&
                   io.offset / kBlock == spare_sector / 8;
        });
        auto asked = user_.ask(Op::write, block * kBlock, length_of(block));
        for (const std::uint64_t other : blocks_)
            if (other * kBlock >> kRegionShift != block * kBlock >> kRegionShift &&
                !machine_.remaps().contains(other) && has_faults(Side::main, other * 8, 8)) {
                user_.finish(user_.ask(Op::write, other * kBlock, length_of(other)));
                break;
            }
        user_.flush();
        machine_.hold(nullptr);
        while (machine_.held() != 0) machine_.release(0);
        user_.finish(std::move(asked));
        user_.learn_homes();
    }

    void salvage() {
        const RemapInfo* const lost = any_remap([](const RemapInfo& r) { return r.retry != 0; });
        if (lost != nullptr && below(3) != 0) {
            readable(Side::main, lost->sector, length_of(lost->sector / 8) / kSector, true);
            if (below(2) == 0)
                if (const RemapInfo* const more =
                        any_remap([](const RemapInfo& r) { return r.retry != 0; }))
                    readable(Side::main, more->sector, unit_, true);
        }
        user_.salvage();
    }

    // A good spot of main goes bad.
    void spoil_main() {
        const std::uint64_t block = any_block();
        if (machine_.remaps().contains(block)) return single(Op::write);
        const std::uint64_t s = block * 8 + below(length_of(block) / kSector) / unit_ * unit_;
        may_fail(s, unit_);
        readable(Side::main, s, unit_, false);
        if (below(2) == 0) takes_no_writes(Side::main, s, unit_, true);
        if (below(2) == 0) user_.run(Op::read, block * kBlock, length_of(block));
    }

    // A slot takes no writes any more; the write that finds out moves the block to another one.
    void break_slot() {
        const RemapInfo* const remap = any_remap([](const RemapInfo&) { return true; });
        if (remap == nullptr || table_broken_) return single(Op::write);
        const std::uint64_t block = remap->sector / 8, spare_sector = remap->spare_sector;
        const std::uint64_t s = below(length_of(block) / kSector) / unit_ * unit_;
        takes_no_writes(Side::spare, spare_sector + s, unit_, true);
        user_.run(Op::write, block * kBlock + s * kSector, unit_ * kSector);
    }

    // A slot can not be read for a while, and keeps its block; writing heals it.
    void spoil_slot() {
        const RemapInfo* const remap = any_remap(
            [&](const RemapInfo& r) { return !has_faults(Side::spare, r.spare_sector, 8); });
        if (remap == nullptr || table_broken_) return single(Op::write);
        const std::uint64_t block = remap->sector / 8, spare_sector = remap->spare_sector;
        const std::uint64_t s = below(length_of(block) / kSector) / unit_ * unit_;
        may_fail(block * 8 + s, unit_);
        readable(Side::spare, spare_sector + s, unit_, false);
        user_.run(Op::read, block * kBlock, length_of(block));
        user_.run(Op::write, block * kBlock + s * kSector, unit_ * kSector);
    }

    // One copy of a page that holds live entries takes no writes: the commit that finds out retires
    // it. Not where a large page would take all free slots with it.
    void break_page() {
        const dmr_superblock& sb = start_.layout.sb;
        const RemapInfo* const remap = any_remap([&](const RemapInfo& r) {
            return (r.lost != 0 || !has_faults(Side::main, r.sector, 8)) &&
                   (dmr_le32(sb.page_size) == kBlock || r.slot < dmr_le64(sb.table_ready));
        });
        if (remap == nullptr) return;
        const RemapInfo found = *remap;
        const std::uint64_t at = dmr_page_offset(&sb, static_cast<int>(below(2)),
                                                 found.slot / dmr_entries_per_page(&sb));
        takes_no_writes(Side::spare, at / kSector + below(8) / unit_ * unit_, unit_, true);
        table_broken_ = true;
        const std::uint64_t length = length_of(found.sector / 8);
        if (found.lost != 0)
            user_.run(Op::write, found.sector * kSector, length);
        else
            user_.unmap(found.sector, length / kSector);
    }

    void break_superblock() {
        const std::uint64_t at = dmr_copy_offsets[below(3)];
        takes_no_writes(Side::spare, at / kSector, 8, true);
        superblock_broken_ = true;
    }

    void mend_metadata() {
        const auto faults = machine_.faults()[index(Side::spare)];
        for (const std::uint64_t s : faults)
            if (!start_.layout.is_slot(s)) takes_no_writes(Side::spare, s, 1, false);
        table_broken_ = superblock_broken_ = false;
    }

    void open_again(bool in_order) {
        const bool whole =
            !table_broken_ && !superblock_broken_ && user_.disk().status().retired_pages == 0;
        if (in_order)
            user_.close();
        else
            user_.vanish();
        if (in_order && whole) examine();
        if (in_order && whole && below(2) == 0) rot();
        if (table_broken_ || superblock_broken_) {
            if (below(3) != 0) mend_metadata();
        }
        come_back();
    }

    void come_back() {
        if (!user_.problem().empty() || !open()) return;
        user_.check_remaps();
        user_.read_area(false);
    }

    void killed_in_flight() {
        machine_.note("killed with requests in flight");
        machine_.hold([](Side, const Io&) { return true; });
        User::InFlight asked;
        for (const std::uint64_t block : {any_block(), any_block()}) {
            const auto remap = machine_.remaps().find(block);
            if ((asked.empty() || asked.front()->first != block * 8) &&
                (remap == machine_.remaps().end() || remap->second.lost == 0))
                asked.push_back(user_.ask(Op::write, block * kBlock, length_of(block)));
        }
        user_.vanish(asked);
        come_back();
    }

    // After a close in order there is nothing to repair.
    void examine() {
        const auto device = machine_.device(Side::spare);
        const SpareReport report = examine_spare(*device, true);
        if (!report.fatal.empty()) user_.fail("examine: " + report.fatal.front());
        if (!report.repairable.empty()) user_.fail("examine: " + report.repairable.front());
    }

    // One copy of something is damaged while nobody looks.
    void rot() {
        const dmr_superblock& sb = start_.layout.sb;
        const std::uint64_t pages =
            dmr_le64(sb.table_ready) / dmr_entries_per_page(&sb);  // those of the first step
        const std::uint64_t size = dmr_le32(sb.page_size) / kSector;
        const bool superblock = below(2) == 0;
        const std::uint64_t at =
            superblock ? dmr_copy_offsets[below(3)]
                       : dmr_page_offset(&sb, static_cast<int>(below(2)), below(pages));
        Mark event{.kind = Mark::Kind::rotted, .side = Side::spare};
        const std::uint64_t grain = start_.layout.shape.spare_logical / kSector;
        event.count = below(2) == 0 ? grain : (superblock ? 8 : size);
        event.first = at / kSector;
        const auto how = below(3);
        for (std::uint64_t s = 0; s < event.count; ++s) {
            Cell cell{};
            std::memcpy(cell.bytes.data(), machine_.volume(Side::spare).bytes(event.first + s),
                        kSector);
            if (how == 0) cell.bytes.fill(std::byte{0});
            if (how == 1) cell.bytes[below(kSector)] ^= std::byte{0x10};
            cell.unreadable = how == 2;
            event.cells.push_back(cell);
        }
        machine_.mark(std::move(event));
    }

    bool open() {
        OpenOptions options;
        options.on_event = [this](const Event& event) { count(event); };
        ++happened_.opened;
        return user_.open(options);
    }

    void count(const Event& event) {
        const std::lock_guard lock(mutex_);
        switch (event.kind) {
            case EventKind::remapped:
                happened_.remaps += 1;
                break;
            case EventKind::unmapped:
                happened_.unmaps += 1;
                break;
            case EventKind::moved:
                happened_.moves += 1;
                break;
            case EventKind::lost:
                happened_.lost += event.count;
                break;
            case EventKind::salvaged:
                happened_.salvaged += event.count;
                break;
            case EventKind::rewritten:
                happened_.rewritten += event.count;
                break;
            case EventKind::bad_slot:
                happened_.bad_slots += 1;
                break;
            case EventKind::page_retired:
                happened_.retired += event.count;
                break;
            case EventKind::recovered:
                happened_.recovered += 1;
                break;
            default:
                break;
        }
    }

    // Entries that the table has more than at the beginning.
    std::uint64_t grown() {
        const auto device = machine_.device(Side::spare);
        return dmr_le64(examine_spare(*device, false).superblock.table_ready) -
               dmr_le64(start_.layout.sb.table_ready);
    }

    std::mt19937_64& rng_;
    const Start& start_;
    Machine machine_;
    User user_;
    const std::uint64_t unit_, sectors_;
    const std::uint64_t page_fault_at_, superblock_fault_at_;
    std::vector<std::uint64_t> blocks_;
    bool table_broken_ = false, superblock_broken_ = false;
    std::mutex mutex_;
    Happened happened_;
};

}  // namespace

Recording record(const Profile& profile, std::uint64_t seed) {
    std::mt19937_64 rng(seed);
    Values values;
    Start start = make_start(profile, values, rng);
    Recording recording{std::move(start), {}, {}, {}, ""};
    Life(profile, seed, values, recording.start, rng).live(recording);
    recording.values = std::move(values);
    return recording;
}

}  // namespace dmremap::test
