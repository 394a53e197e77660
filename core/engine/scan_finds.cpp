// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of what a scan finds: failed regions halved, slow ones looked at again, metadata.
#include <algorithm>
#include <cerrno>
#include <functional>

#include "core/device/error_class.h"
#include "core/engine/scanner.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kHealAtOnce = 8;  // blocks; the gate is closed meanwhile
constexpr std::uint64_t kHealEverySeconds = 30;
constexpr std::uint64_t kLookAfter = std::uint64_t{256} << 20;  // bytes: more than drives cache
constexpr unsigned kControls = 4;
constexpr std::uint64_t kErrandLastsNs = 100'000'000;

}  // namespace

// The blocks [first, end) failed together. Collects those that the healer shall look at. False: the
// orders have changed, or main answers with other errors now.
bool Scanner::examine(std::uint64_t first, std::uint64_t end) {
    return end - first == 1 ? found_alone(first, true) : halves(first, end);
}

// False as for heal().
bool Scanner::found_alone(std::uint64_t block, bool failed) {
    to_check_.set(block % kRegionBlocks);
    failed_alone_.set(block % kRegionBlocks, failed);
    return clock_.steady() - healed_at_ < kHealEverySeconds || heal_known(block / kRegionBlocks);
}

// What was collected of the region. False as for heal().
bool Scanner::heal_known(std::uint64_t region) {
    const bool healed = heal(region, to_check_ & ~failed_alone_, HandWork::Kind::check) &&
                        heal(region, failed_alone_, HandWork::Kind::check_failed);
    to_check_.reset();
    failed_alone_.reset();
    healed_at_ = clock_.steady();
    keep_found();
    save_now_and_then();
    return healed;
}

bool Scanner::halves(std::uint64_t first, std::uint64_t end) {
    const std::uint64_t middle = first + (end - first) / 2;
    ScanFlight flight;
    if (!read_alone(first, middle, flight)) {
        return false;
    }
    to_check_ |= flight.read.check;
    if (flight.read.error != 0) {
        if (classify(flight.read.error) != ErrorClass::medium || !examine(first, middle) ||
            !read_alone(middle, end, flight)) {
            return false;
        }
        to_check_ |= flight.read.check;
        return flight.read.error == 0 ||
               (classify(flight.read.error) == ErrorClass::medium && examine(middle, end));
    }
    // So it is the second half; or the error has passed, which its last block will tell.
    return end - middle == 1 ? found_alone(middle, false) : halves(middle, end);
}

// At the pace of the scan, with nothing else in flight. False: the orders have changed.
bool Scanner::read_alone(std::uint64_t first, std::uint64_t end, ScanFlight& flight) {
    if (const std::uint64_t now = now_ns(); pace_.due(now)) {
        pace_.look(now, disk_.counters->load());
    }
    if (!sleep_until(pace_.next())) {
        return false;
    }
    flight.read.offset = first * DMR_BLOCK_SIZE;
    flight.read.length = std::min(end * DMR_BLOCK_SIZE, disk_.size) - flight.read.offset;
    flight.read.buffer = buffers_[0].get();
    flight.before = disk_.counters->load();
    pace_.reading(now_ns(), flight.read.length, disk_.parameters.scan_speed_max);
    scan_read(disk_, *caller_, flight.read);
    pace_.has_read(now_ns(), flight.read.ns);
    return true;
}

// Gives the blocks of a region to the healer, some neighbours at a time. False: they must be looked
// at again later.
bool Scanner::heal(std::uint64_t region, const RegionBlocks& blocks, HandWork::Kind kind) {
    for (std::uint64_t i = 0; i < kRegionBlocks; i++) {
        if (!blocks[i]) {
            continue;
        }
        HandWork work;
        work.kind = kind;
        work.first = region * kRegionBlocks + i;
        while (i + 1 < kRegionBlocks && blocks[i + 1] &&
               region * kRegionBlocks + i + 1 < work.first + kHealAtOnce) {
            i++;
        }
        work.last = region * kRegionBlocks + i;
        if (!stands() || !heal_run(work)) {
            return false;
        }
        i = work.last % kRegionBlocks;  // where it takes long only some are done
    }
    return true;
}

bool Scanner::heal_run(HandWork& work) {
    if (!healer_.by_hand(work)) {
        return false;
    }
    const bool moves_weak = disk_.parameters.relocate_weak && work.result.refused == 0;
    for (std::uint64_t block = work.first; block <= work.last; block++) {
        const std::uint64_t bit = std::uint64_t{1} << (block - work.first);
        if ((work.bad & bit) != 0) {
            region_found_++;
            disk_.board->report(EventKind::scan_found, block * DMR_SECTORS_PER_BLOCK);
        }
        if ((work.weak & bit) != 0) {
            disk_.board->report(EventKind::weak_block, block * DMR_SECTORS_PER_BLOCK);
            if (!moves_weak) {
                note_weak(block, slow_ns_.at(block % kRegionBlocks));
            }
        }
    }
    if (work.result.refused == 0) {
        return true;
    }
    return obstacle() == nullptr && (work.result.error != ENOMEM || !try_again());
}

bool Scanner::quiet(const ScanFlight& flight) const {
    return disk_.counters->load().requests == flight.before.requests;
}

// Makes the region a suspect, or no longer holds anything against the blocks that were read; where
// nothing can be said, neither.
void Scanner::judge_time(const ScanFlight& flight) {
    const ScanRead& read = flight.read;
    if (read.error != 0 || read.main_bytes == 0 || !quiet(flight)) {
        return;
    }
    const bool known = latency_.threshold_ns() != 0;
    const bool slow = latency_.slow(read.ns);
    if (read.main_bytes == kRegionSize) {
        latency_.add(read.ns);
    }
    if (slow) {
        suspect(read.first_block() / kRegionBlocks);
    } else if (known) {
        forget_weak(read.first_block(), read.end_block());
    }
}

void Scanner::suspect(std::uint64_t region) {
    if (suspected_ < suspects_.size()) {
        suspects_.at(suspected_++) = {region, read_bytes_ + kLookAfter, 0, RegionBlocks().set()};
    }
}

// Those whose time has come, or all. False: the orders have changed.
bool Scanner::look_at_suspects(bool all) {
    for (std::size_t i = 0; i < suspected_;) {
        if (!all && suspects_.at(i).after > read_bytes_) {
            i++;
            continue;
        }
        drain();
        save_now_and_then();
        bool done = false;
        if (!clear_way() || !look(suspects_.at(i), done)) {
            return false;
        }
        if (done) {
            suspects_.at(i) = suspects_.at(--suspected_);
        }
    }
    return true;
}

// First the region again, for most were slow by chance; then its blocks one by one; then those that
// were slow. False: the orders have changed.
bool Scanner::look(Suspect& suspect, bool& done) {
    const std::uint64_t base = suspect.region * kRegionBlocks;
    const std::uint64_t blocks =
        std::min<std::uint64_t>(kRegionBlocks, dmr_main_blocks(&disk_.geometry) - base);
    RegionBlocks slow;
    to_check_.reset();
    failed_alone_.reset();
    region_found_ = 0;
    slow_ns_.fill(0);
    if (suspect.looks == 0) {
        ScanFlight flight;
        if (!read_alone(base, base + blocks, flight)) {
            return false;
        }
        bool everywhere = false;
        done = flight.read.error == 0 && (!quiet(flight) || !latency_.slow(flight.read.ns));
        if (!done && !slow_everywhere(suspect.region, everywhere)) {
            return false;
        }
        if (everywhere) {
            suspected_ = 0;  // what seemed slow lately was the device
            return true;
        }
        suspect.looks++;
        suspect.after = read_bytes_ + kLookAfter;
        if (done && quiet(flight)) {
            forget_weak(base, base + blocks);
        }
        return true;
    }
    for (std::uint64_t i = 0; i < blocks; i++) {
        if (!suspect.slow[i]) {
            continue;
        }
        ScanFlight flight;
        if (!read_alone(base + i, base + i + 1, flight)) {
            return false;
        }
        if (classify(flight.read.error) == ErrorClass::medium) {
            failed_alone_.set(i);
        } else if (flight.read.error != 0 || flight.read.main_bytes == 0 || !quiet(flight)) {
            continue;  // it says nothing
        } else if (latency_.slow(flight.read.ns)) {
            slow.set(i);
            slow_ns_.at(i) = flight.read.ns;
        } else {
            forget_weak(base + i, base + i + 1);
        }
    }
    bool everywhere = false;
    if (slow.any() && !slow_everywhere(suspect.region, everywhere)) {
        return false;
    }
    if (everywhere) {
        slow.reset();  // what seemed slow was the device; what failed has failed
    }
    done = slow.none() || ++suspect.looks == 3;
    suspect.slow = slow;
    suspect.after = read_bytes_ + kLookAfter;
    const bool healed = heal(suspect.region, failed_alone_, HandWork::Kind::check_failed) &&
                        (!done || heal(suspect.region, slow, HandWork::Kind::move_slow));
    {
        const std::lock_guard lock(mutex_);
        if (generation_ == run_generation_) {
            record_.pass_found += region_found_;
            record_.found += region_found_;
        }
    }
    if (!healed) {
        // Nothing was done for some of these: they are looked at again.
        suspect.slow = slow | failed_alone_;
        suspect.looks = 1;
        done = false;
        return stands();
    }
    if (everywhere) {
        suspected_ = 0;
        done = false;
    }
    return true;
}

// Single blocks of other places, by chance. False: the orders have changed.
bool Scanner::slow_everywhere(std::uint64_t region, bool& everywhere) {
    const std::uint64_t blocks = dmr_main_blocks(&disk_.geometry);
    unsigned read = 0, slow = 0;
    for (unsigned tried = 0; tried < 4 * kControls && read < kControls; tried++) {
        chance_ = chance_ * 6364136223846793005ull + 1442695040888963407ull;
        const std::uint64_t block = (chance_ >> 20) % blocks;
        if (block / kRegionBlocks == region) {
            continue;
        }
        ScanFlight flight;
        if (!read_alone(block, block + 1, flight)) {
            return false;
        }
        if (flight.read.error != 0 || flight.read.main_bytes == 0) {
            continue;
        }
        read++;
        if (latency_.slow(flight.read.ns)) {
            slow++;
            latency_.add(flight.read.ns);
        }
    }
    everywhere = 2 * slow >= read;  // also where nothing could be read to compare with
    return true;
}

void Scanner::note_weak(std::uint64_t block, std::uint64_t ns) {
    const std::uint64_t sector = block * DMR_SECTORS_PER_BLOCK;
    const std::lock_guard lock(mutex_);
    const auto at =
        std::lower_bound(weak_.begin(), weak_.end(), sector,
                         [](const WeakBlock& weak, std::uint64_t s) { return weak.sector < s; });
    if (at != weak_.end() && at->sector == sector) {
        at->ns = ns;
        return;
    }
    try {
        if (weak_.size() < kWeakListed) {
            weak_.insert(at, {sector, ns});
        }
    } catch (const std::bad_alloc&) {  // then it is not listed
    }
}

// The blocks [first, end), which were read well.
void Scanner::forget_weak(std::uint64_t first, std::uint64_t end) {
    const std::lock_guard lock(mutex_);
    std::erase_if(weak_, [&](const WeakBlock& weak) {
        const std::uint64_t block = weak.sector / DMR_SECTORS_PER_BLOCK;
        return block >= first && block < end;
    });
}

// Both copies of each page, then the superblock's. False: the orders have changed. The errands are
// handed over by reference, for which no memory is needed, and end soon: requests wait for them.
bool Scanner::check_metadata() {
    std::uint64_t page = 0, repaired = 0, retired = 0, lost = 0;
    bool end = false;
    const auto some_pages = [&] {
        const std::uint64_t until = now_ns() + kErrandLastsNs;
        for (bool first = true; first || now_ns() < until; first = false) {
            end = page >= disk_.table->pages() || !disk_.writable();
            if (end) {
                return;
            }
            const PageCheck found = disk_.table->check_page(page);
            if (found == PageCheck::unknown) {
                return;
            }
            repaired += found == PageCheck::repaired ? 1 : 0;
            retired += found == PageCheck::retired ? 1 : 0;
            lost += found == PageCheck::lost ? 1 : 0;
            page++;
        }
    };
    while (!end) {
        const std::uint64_t before = page;
        if (!clear_way() || !healer_.between_rounds(std::cref(some_pages))) {
            return false;
        }
        if (page == before && !end) {  // no memory for this one, or no answer
            skipped_ = true;
            page++;
        }
    }
    const auto superblocks = [&] {
        const unsigned bad = disk_.superblocks->check();
        if (bad != 0 && write_record() == 0) {
            repaired += bad - std::min(bad, disk_.superblocks->bad_copies());
        }
    };
    if (!healer_.between_rounds(std::cref(superblocks))) {
        return false;
    }
    if (lost != 0) {
        disk_.board->raise(
            State::degraded, "lost_pages", lost,
            " pages of the entry table have no good copy left and take none; once it "
            "is unmounted the spare opens for rescue only");
    }
    if (retired + lost != 0) {
        healer_.wake();
    }
    if (repaired != 0) {
        disk_.board->report(EventKind::metadata_repaired, 0, repaired);
        const std::lock_guard lock(mutex_);
        record_.metadata_repairs += repaired;
    }
    return true;
}

}  // namespace dmremap
