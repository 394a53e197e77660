// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/oracle.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>

namespace dmremap::test {

namespace {

std::string range_text(std::uint64_t offset, std::uint64_t length) {
    std::ostringstream out;
    out << "bytes " << offset << "+" << length << " (sectors " << offset / kSector << " to "
        << (offset + length - 1) / kSector << ")";
    return out.str();
}

}  // namespace

Oracle::Oracle(TestPair& pair)
    : pair_(pair),
      unit_(pair.main->info().logical_block / kSector),
      bytes_(pair.main->snapshot()),
      spare_slot_(pair.spare->size() / kBlock + 1),
      stain_(pair.sectors()) {
    const dmr_superblock sb = pair.superblock();
    slot_limit_ = dmr_le64(sb.slots);
    for (std::uint64_t slot = 0; slot < slot_limit_; ++slot)
        spare_slot_[dmr_slot_offset(&sb, slot) / kBlock] = true;
    pair_.main->on_failure(
        [this](Op op, auto first, auto count) { on_main(true, op, first, count); });
    pair_.main->on_success(
        [this](Op op, auto first, auto count) { on_main(false, op, first, count); });
    pair_.spare->on_failure(
        [this](Op op, auto first, auto count) { on_spare(true, op, first, count); });
    pair_.spare->on_success(
        [this](Op op, auto first, auto count) { on_spare(false, op, first, count); });
    refresh();
}

Oracle::~Oracle() {
    pair_.main->on_failure(nullptr);
    pair_.main->on_success(nullptr);
    pair_.spare->on_failure(nullptr);
    pair_.spare->on_success(nullptr);
}

void Oracle::on_main(bool failed, Op op, std::uint64_t first, std::uint64_t count) {
    const std::lock_guard lock(mutex_);
    if (op != Op::read) {
        main_write_failed_ |= failed;
        return;
    }
    if (!failed && unread_.empty()) return;
    for (std::uint64_t s = first; s < first + count; ++s) {
        if (failed) {
            unread_.insert(s);
            stain_[s] = true;
        } else {
            unread_.erase(s);
        }
    }
}

void Oracle::on_spare(bool failed, Op op, std::uint64_t first, std::uint64_t count) {
    if (!failed && op != Op::read) return;
    const std::lock_guard lock(mutex_);
    if (!failed && slot_unread_.empty()) return;
    for (std::uint64_t s = first; s < first + count; ++s) {
        if (!spare_slot_[s / 8]) {
            metadata_failed_ |= failed;
            metadata_failed_ever_ |= failed;
            continue;
        }
        if (op != Op::read) {
            slot_write_failed_ = true;
            continue;
        }
        slot_read_failed_ |= failed;
        const auto block = block_of_slot_.find(s / 8);
        if (block == block_of_slot_.end()) continue;
        const std::uint64_t sector = block->second * 8 + s % 8;
        if (sector >= stain_.size()) continue;
        if (failed) {
            slot_unread_.insert(sector);
            stain_[sector] = true;
        } else {
            slot_unread_.erase(sector);
        }
    }
}

void Oracle::begin() {
    const std::lock_guard lock(mutex_);
    unread_.clear();
    slot_unread_.clear();
    main_write_failed_ = slot_write_failed_ = slot_read_failed_ = metadata_failed_ = false;
}

void Oracle::fail(const std::string& what) {
    if (!problem_.empty()) return;
    problem_ = what + "\n  state " + state_name(pair_.disk->status().state);
    for (const Cause& cause : pair_.disk->status().causes)
        problem_ += ", " + std::string(cause.name) + " (" + cause.text + ")";
}

Oracle::Range Oracle::widened(std::uint64_t offset, std::uint64_t length) const {
    const std::uint64_t unit = unit_ * kSector;
    return {offset / unit * unit_, (offset + length + unit - 1) / unit * unit_};
}

void Oracle::refresh() {
    const std::uint64_t failed = pair_.main->failed_calls() + pair_.spare->failed_calls();
    if (failed == refreshed_at_) return;
    refreshed_at_ = failed;
    remaps_.clear();
    pair_.disk->list_remaps([this](const RemapInfo& info) { remaps_[info.sector / 8] = info; });
    const std::lock_guard lock(mutex_);
    block_of_slot_.clear();
    for (const auto& [block, info] : remaps_) block_of_slot_[info.spare_sector / 8] = block;
}

bool Oracle::unreadable(std::uint64_t sector) const {
    const auto remap = remaps_.find(sector / 8);
    const std::lock_guard lock(mutex_);
    if (remap == remaps_.end()) return unread_.contains(sector);
    return ((remap->second.lost >> sector % 8 & 1) != 0 && stain_[sector]) ||
           slot_unread_.contains(sector);
}

void Oracle::read(std::uint64_t offset, std::uint64_t length) {
    begin();
    std::vector<std::byte> got(length, std::byte{0x5A});
    const int error = pair_.disk->read(offset, got.data(), length);
    refresh();
    const std::uint64_t first = offset / kSector, end = (offset + length + kSector - 1) / kSector;
    if (error) {
        ++seen_.read_errors;
        const Range range = widened(offset, length);
        excuse_read_only(pair_.disk->status());
        bool explained = may_be_read_only_ && pair_.disk->status().state == State::failed;
        for (std::uint64_t s = range.first; s < range.end && !explained; ++s)
            explained = unreadable(s) || (may_be_read_only_ && touched_.contains(s / 8));
        for (std::uint64_t s = range.first; may_be_read_only_ && s < range.end; ++s)
            touched_.insert(s / 8);
        if (!explained || error != EIO)
            fail("read of " + range_text(offset, length) + " failed with " + strerror(error) +
                 (explained ? ", not EIO" : ", which no device explains"));
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        for (std::uint64_t s = first; s < end; ++s) stain_[s] = false;
    }
    if (std::memcmp(got.data(), bytes_.data() + offset, length) == 0 && others_.empty()) return;
    for (std::uint64_t s = first; s < end; ++s) {
        const std::uint64_t from = std::max(offset, s * kSector);
        const std::uint64_t to = std::min(offset + length, (s + 1) * kSector);
        const std::byte* const found = got.data() + (from - offset);
        std::byte* const value = bytes_.data() + s * kSector;
        const std::uint64_t at = from - s * kSector;
        const bool same = std::memcmp(value + at, found, to - from) == 0;
        const auto others = others_.find(s);
        if (others == others_.end()) {
            if (same) continue;
            std::ostringstream out;
            out << "read of " << range_text(offset, length) << ": sector " << s
                << " holds what was never written there, or is stale (first byte "
                << static_cast<int>(found[0]) << ", last written " << static_cast<int>(value[at])
                << ")";
            fail(out.str());
            return;
        }
        // Keep the values that agree with what was read.
        std::vector<Bytes> fitting;
        for (const Bytes& other : others->second)
            if (std::memcmp(other.data() + at, found, to - from) == 0) fitting.push_back(other);
        if (!same) {
            if (fitting.empty()) {
                fail("read of " + range_text(offset, length) + ": sector " + std::to_string(s) +
                     " holds neither its old nor its new data");
                return;
            }
            std::memcpy(value, fitting.back().data(), kSector);
            fitting.pop_back();
        }
        ++seen_.settled;
        if (fitting.empty())
            others_.erase(others);
        else
            others->second = std::move(fitting);
    }
}

void Oracle::store(std::uint64_t offset, const std::byte* data, std::uint64_t length,
                   Outcome outcome) {
    const std::uint64_t end = offset + length;
    for (std::uint64_t at = offset; at < end;) {
        const std::uint64_t s = at / kSector, in = at % kSector;
        const std::uint64_t part = std::min(end - at, kSector - in);
        const std::byte* const from = data ? data + (at - offset) : nullptr;
        const auto merge = [&](std::byte* value) {
            if (from)
                std::memcpy(value + in, from, part);
            else
                std::memset(value + in, 0, part);
        };
        std::byte* const value = bytes_.data() + s * kSector;
        auto others = others_.find(s);
        if (outcome == Outcome::done) {
            merge(value);
            if (others != others_.end()) {
                if (part == kSector)
                    others_.erase(others);
                else
                    for (Bytes& other : others->second) merge(other.data());
            }
        } else {
            std::vector<Bytes>& list = others_[s];
            const std::size_t old = list.size();
            Bytes changed;
            for (std::size_t i = 0; i <= old; ++i) {
                if (i == old)
                    std::memcpy(changed.data(), value, kSector);
                else
                    changed = list[i];
                merge(changed.data());
                const bool known = std::memcmp(changed.data(), value, kSector) == 0 ||
                                   std::find(list.begin(), list.end(), changed) != list.end();
                if (!known) list.push_back(changed);
            }
            if (list.empty()) others_.erase(s);
        }
        at += part;
    }
}

// A page whose one copy takes no writes must be left by its entries; without a slot to go to a
// change of one of them can not be committed, and the rules of order leave nothing but read_only.
void Oracle::excuse_read_only(const DiskStatus& status) {
    const std::lock_guard lock(mutex_);
    if (status.state == State::read_only && metadata_failed_ever_ &&
        status.slots_used + status.slots_bad >= status.slots)
        may_be_read_only_ = true;
}

bool Oracle::write_error_explained(std::uint64_t offset, std::uint64_t length) {
    const DiskStatus status = pair_.disk->status();
    excuse_read_only(status);
    if (may_be_read_only_ && status.state >= State::read_only) return true;
    const Range range = widened(offset, length);
    // Only the logical blocks at the ends can be asked for in part.
    const std::uint64_t unit = unit_ * kSector;
    for (std::uint64_t s = range.first; s < range.end; ++s) {
        const std::uint64_t from = s / unit_ * unit;
        const bool part = from < offset || from + unit > offset + length;
        if (part && unreadable(s)) return true;
    }
    const bool full = status.slots_used + status.slots_bad >= status.slots;
    bool breaker = false;
    for (const Cause& cause : status.causes) breaker |= cause.name == "breaker";
    const std::lock_guard lock(mutex_);
    if (metadata_failed_ || slot_read_failed_) return true;
    if (main_write_failed_ && (full || breaker)) return true;
    // Lost marks of a block on a retired page can only go with the block to another slot.
    if (full && status.retired_pages != 0) return true;
    // The last free slots take no write: whether they are bad, or the spare is, nobody can tell.
    return slot_write_failed_ && status.slots - status.slots_used - status.slots_bad < 8;
}

void Oracle::judge_write(const char* what, int error, std::uint64_t offset, const std::byte* data,
                         std::uint64_t length) {
    refresh();
    if (!error) {
        store(offset, data, length, Outcome::done);
        const std::lock_guard lock(mutex_);
        for (std::uint64_t s = offset / kSector; s * kSector < offset + length; ++s)
            stain_[s] = false;
        return;
    }
    ++seen_.write_errors;
    if (error == ENOSPC) ++seen_.no_space;
    for (std::uint64_t s = offset / kSector; s * kSector < offset + length; ++s)
        touched_.insert(s / 8);
    if (!write_error_explained(offset, length))
        fail(std::string(what) + " of " + range_text(offset, length) + " failed with " +
             strerror(error) + ", which no device explains");
    store(offset, data, length, Outcome::maybe);
}

void Oracle::write(std::uint64_t offset, const std::vector<std::byte>& data) {
    begin();
    const int error = pair_.disk->write(offset, data.data(), data.size());
    judge_write("write", error, offset, data.data(), data.size());
}

void Oracle::zero(std::uint64_t offset, std::uint64_t length) {
    begin();
    judge_write("zeroing", pair_.disk->zero(offset, length), offset, nullptr, length);
}

void Oracle::discard(std::uint64_t offset, std::uint64_t length) {
    begin();
    const int error = pair_.disk->discard(offset, length);
    refresh();
    if (error && !write_error_explained(offset, length))
        fail("discard of " + range_text(offset, length) + " failed with " + strerror(error));
    store(offset, nullptr, length, Outcome::maybe);
}

void Oracle::flush(const std::function<bool()>& device_failed) {
    begin();
    const int error = pair_.disk->flush();
    refresh();
    if (device_failed && device_failed()) {
        may_be_read_only_ = true;
        if (!error) fail("a flush succeeded although a device failed it");
    }
    if (flush_failed_ && !error) fail("a flush succeeded after one had failed");
    if (error) excuse_read_only(pair_.disk->status());
    if (error && !may_be_read_only_)
        fail(std::string("flush failed with ") + strerror(error) + ", which no device explains");
    if (error) flush_failed_ = true;
}

void Oracle::check() {
    refreshed_at_ = ~0ull;
    refresh();
    const DiskStatus status = pair_.disk->status();
    excuse_read_only(status);
    const dmr_superblock sb = pair_.superblock();
    std::uint64_t lost = 0, retry = 0, before = 0;
    bool first = true;
    std::set<std::uint64_t> slots;
    pair_.disk->list_remaps([&](const RemapInfo& info) {
        const std::string at = "remap of sector " + std::to_string(info.sector);
        if (info.sector % 8 || info.sector >= pair_.sectors()) fail(at + " is no block of main");
        if (!first && info.sector <= before) fail(at + " is out of order");
        first = false;
        before = info.sector;
        if (!slots.insert(info.slot).second) fail(at + " shares its slot");
        if (info.slot >= slot_limit_) fail(at + " has a slot that does not exist");
        if (info.spare_sector * kSector != dmr_slot_offset(&sb, info.slot))
            fail(at + " says the wrong place of its slot");
        if (info.retry & ~info.lost) fail(at + " has retry sectors that are not lost");
        if (info.reason == DMR_REASON_NONE || info.reason > DMR_REASON_LAST)
            fail(at + " has no reason");
        if (info.lost & ~dmr_block_sectors(&sb, info.sector / 8))
            fail(at + " has lost sectors past the end of main");
        lost += static_cast<std::uint64_t>(std::popcount(info.lost));
        retry += static_cast<std::uint64_t>(std::popcount(info.retry));
        const std::lock_guard lock(mutex_);
        for (std::uint64_t i = 0; i < 8; ++i)
            if ((info.lost >> i & 1) != 0 && !stain_[info.sector + i])
                fail(at + " says that sector " + std::to_string(info.sector + i) +
                     " is lost, which no device explains");
    });
    seen_.lost = std::max(seen_.lost, lost);
    const auto expect = [&](const char* what, std::uint64_t says, std::uint64_t is) {
        if (says != is)
            fail(std::string("status says ") + what + " " + std::to_string(says) +
                 ", the list of remaps " + std::to_string(is));
    };
    expect("active_mappings", status.active_mappings, slots.size());
    expect("slots_used", status.slots_used, slots.size());
    expect("lost_sectors", status.lost_sectors, lost);
    expect("retry_sectors", status.retry_sectors, retry);
    expect("slots", status.slots, slot_limit_);
    if (status.slots_used + status.slots_bad > status.slots)
        fail("status counts more slots than there are");
    State worst = State::healthy;
    bool lost_cause = false;
    for (const Cause& cause : status.causes) {
        worst = std::max(worst, cause.state);
        lost_cause |= cause.name == "lost_sectors";
        if (cause.name.empty() || cause.text.empty()) fail("a cause without name or text");
    }
    if (worst != status.state)
        fail(std::string("state is ") + state_name(status.state) + ", its worst cause is " +
             state_name(worst));
    if (lost_cause != (lost != 0)) fail("cause lost_sectors and the lost sectors disagree");
    if (status.state >= State::read_only && !may_be_read_only_)
        fail(std::string("state is ") + state_name(status.state) +
             " without a reason: " + (status.causes.empty() ? "none" : status.causes.front().text));
    if (status.size != pair_.main->size()) fail("status says a wrong size");
}

void Oracle::read_all() {
    for (std::uint64_t at = 0; at < bytes_.size() && problem_.empty(); at += kBlock)
        read(at, std::min<std::uint64_t>(kBlock, bytes_.size() - at));
}

void Oracle::reopened() {
    may_be_read_only_ = flush_failed_ = false;
    touched_.clear();
    refreshed_at_ = ~0ull;
    {
        const std::lock_guard lock(mutex_);
        metadata_failed_ever_ = false;
    }
    begin();
    refresh();
}

}  // namespace dmremap::test
