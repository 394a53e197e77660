// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/entry_table.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "core/meta/page_io.h"
#include "core/meta/table_step.h"
#include "core/room.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kCollectAtOnce = 4096;

}  // namespace

EntryTable::EntryTable(Device& spare, SuperblockStore& store, LoadedTable loaded)
    : spare_(spare),
      store_(store),
      per_page_(dmr_entries_per_page(&store.current())),
      next_sequence_(std::max<std::uint64_t>(dmr_le64(store.current().entry_epoch) << 32,
                                             ((loaded.highest_sequence >> 32) + 1) << 32)),
      entries_(loaded.entries),
      pages_(std::move(loaded.pages)),
      superseded_(loaded.superseded.begin(), loaded.superseded.end()) {
    counts_.slots = dmr_le64(store.current().slots);
    for (std::uint64_t page = 0; page < pages_.size(); page++) {
        counts_.retired_pages += pages_[page] == PageHealth::good ? 0 : 1;
    }
    for (std::uint64_t slot = 0; slot < entries_.size(); slot++) {
        if (!superseded_.contains(slot)) {
            account(entries_[slot], 1);
        }
        free_ += usable(slot) ? 1 : 0;
    }
}

void EntryTable::account(const dmr_entry& entry, int sign) {
    const auto add = [sign](std::uint64_t& counter, unsigned n) {
        counter = sign > 0 ? counter + n : counter - n;
    };
    if (entry.state == DMR_REMAPPED) {
        add(counts_.used, 1);
        add(counts_.lost_sectors, static_cast<unsigned>(std::popcount(entry.lost)));
        add(counts_.retry_sectors, static_cast<unsigned>(std::popcount(entry.retry)));
    } else if (entry.state == DMR_BAD_SLOT) {
        add(counts_.bad, 1);
    }
}

// The caller holds the mutex or is the owner.
bool EntryTable::usable(std::uint64_t slot) const {
    return entries_[slot].state == DMR_FREE && pages_[slot / per_page_] == PageHealth::good &&
           !superseded_.contains(slot) && !reserved_.contains(slot);
}

std::optional<std::uint64_t> EntryTable::allocate(int& error) {
    device_error_ = 0;
    error = broken_ ? EROFS : free_ == 0 ? grow() : 0;
    if (error != 0) {
        return std::nullopt;
    }
    for (std::uint64_t tried = 0; tried < entries_.size(); tried++) {
        if (hint_ >= entries_.size()) {
            hint_ = 0;
        }
        const std::uint64_t slot = hint_++;
        if (usable(slot)) {
            const std::lock_guard lock(mutex_);
            reserved_.insert(slot);
            free_--;
            return slot;
        }
    }
    error = ENOSPC;       // GCOVR_EXCL_LINE: free_ counts the usable ones
    return std::nullopt;  // GCOVR_EXCL_LINE
}

void EntryTable::give_back(std::uint64_t slot) {
    const std::lock_guard lock(mutex_);
    reserved_.erase(slot);
    free_ += usable(slot) ? 1 : 0;
}

void EntryTable::look_further(std::uint64_t pages) {
    hint_ = (hint_ / per_page_ + pages) * per_page_ % std::max<std::uint64_t>(entries_.size(), 1);
}

// 0: there are free slots now.
int EntryTable::grow() {
    const dmr_superblock& now = store_.current();
    const std::uint64_t pages = pages_.size();
    const std::uint64_t ready = entries_.size();
    if (full_grown_ || ready >= counts_.slots) {
        return ENOSPC;
    }
    std::uint64_t end = std::min(next_table_step(now, ready), pages_for(now, counts_.slots));
    std::vector<std::uint8_t> bad;
    const auto end_here = [this] {
        const std::lock_guard lock(mutex_);
        full_grown_ = true;
    };
    bool used = false;
    device_error_ = used_entry_in_pages(spare_, now, pages, end - pages, used);
    if (device_error_ != 0) {
        return device_error_;
    }
    if (used) {
        end_here();  // the superblock was stale: nothing above may be touched
        return ENOSPC;
    }
    {
        const std::lock_guard lock(mutex_);
        entries_.room_to_grow(std::min(end * per_page_, counts_.slots) - ready);
        make_room(pages_, end - pages);
    }
    // Nobody counts on what is written here before table_ready says so: it can be done again.
    device_error_ = initialise_pages(spare_, now, pages, end - pages, bad);
    if (device_error_ != 0) {
        return device_error_;
    }
    if (flush() != 0) {
        return EROFS;
    }
    // A page without any good copy would keep the spare from opening: the table ends before it.
    for (std::uint64_t p = 0; p < bad.size(); p++) {
        if (bad[p] == 3) {
            end = pages + p;
            end_here();
            break;
        }
    }
    if (end == pages) {
        return ENOSPC;
    }
    dmr_superblock next = now;
    const std::uint64_t next_ready = std::min(end * per_page_, counts_.slots);
    next.table_ready = dmr_to_le64(next_ready);
    if (store_.write(next) != 0) {
        // Some copy may say so all the same: the entries are there. But they are not used.
        broken_ = broken_ || store_.flush_failed();
        end_here();
        return broken_ ? EROFS : ENOSPC;
    }
    const std::lock_guard lock(mutex_);
    entries_.grow(next_ready - ready);
    for (std::uint64_t page = pages; page < end; page++) {
        const bool good = bad[page - pages] == 0;
        pages_.push_back(good ? PageHealth::good : PageHealth::mixed);
        counts_.retired_pages += good ? 0 : 1;
    }
    for (std::uint64_t slot = ready; slot < next_ready; slot++) {
        free_ += usable(slot) ? 1 : 0;
    }
    hint_ = ready;
    return free_ != 0 ? 0 : ENOSPC;
}

// What a copy of a retired page says is not all known: it may be a write that failed half way, or
// one that could not be read.
bool EntryTable::may_have_older_claim(std::uint64_t block) const {
    return counts_.retired_pages != 0 || !owed_.empty() ||
           std::any_of(superseded_.begin(), superseded_.end(), [&](std::uint64_t slot) {
               return dmr_le64(entries_[slot].main_block) == block;
           });
}

int EntryTable::flush() {
    const int error = spare_.flush();
    broken_ = broken_ || error != 0;
    return error;
}

bool EntryTable::retired(std::uint64_t slot) const {
    return pages_[slot / per_page_] != PageHealth::good;
}

std::vector<std::uint64_t> EntryTable::live_on_retired_pages(std::size_t limit) const {
    std::vector<std::uint64_t> found;
    for (std::uint64_t page = 0; page < pages_.size() && found.size() < limit; page++) {
        if (pages_[page] == PageHealth::good) {
            continue;
        }
        const std::uint64_t end = std::min((page + 1) * per_page_, entries_.size());
        for (std::uint64_t slot = page * per_page_; slot < end && found.size() < limit; slot++) {
            if (entries_[slot].state == DMR_REMAPPED && !superseded_.contains(slot)) {
                found.push_back(slot);
            }
        }
    }
    return found;
}

dmr_entry EntryTable::sealed(std::uint64_t slot) const {
    dmr_entry entry = entries_[slot];
    entry.crc = dmr_to_le32(dmr_entry_crc(&entry, store_.current().uuid, slot));
    return entry;
}

dmr_entry EntryTable::entry(std::uint64_t slot) const {
    const std::lock_guard lock(mutex_);
    return sealed(slot);
}

bool EntryTable::live(std::uint64_t slot) const {
    const std::lock_guard lock(mutex_);
    return entries_[slot].state == DMR_REMAPPED && !superseded_.contains(slot);
}

std::uint64_t EntryTable::ready() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

std::uint64_t EntryTable::pages() const {
    const std::lock_guard lock(mutex_);
    return pages_.size();
}

TableCounts EntryTable::counts() const {
    const std::lock_guard lock(mutex_);
    TableCounts counts = counts_;
    if (full_grown_) {
        counts.unusable += counts_.slots - entries_.size();
    }
    for (std::uint64_t page = 0;
         (counts.retired_pages != 0 || !owed_.empty()) && page < pages_.size(); page++) {
        if (pages_[page] == PageHealth::good) {
            continue;
        }
        const std::uint64_t end = std::min((page + 1) * per_page_, entries_.size());
        for (std::uint64_t slot = page * per_page_; slot < end; slot++) {
            counts.unusable +=
                entries_[slot].state == DMR_FREE || superseded_.contains(slot) ? 1 : 0;
        }
    }
    return counts;
}

std::vector<LiveRemap> EntryTable::live_remaps() const {
    std::vector<LiveRemap> remaps;
    const std::lock_guard lock(mutex_);
    remaps.reserve(counts_.used);
    for (std::uint64_t slot = 0; slot < entries_.size(); slot++) {
        const dmr_entry& entry = entries_[slot];
        if (entry.state == DMR_REMAPPED && !superseded_.contains(slot)) {
            remaps.push_back(LiveRemap{dmr_le64(entry.main_block), slot, dmr_le64(entry.time),
                                       entry.lost, entry.retry, entry.reason});
        }
    }
    return remaps;
}

std::optional<LiveRemap> EntryTable::find_live(std::uint64_t block) const {
    const std::lock_guard lock(mutex_);
    for (std::uint64_t slot = 0; slot < entries_.size(); slot++) {
        const dmr_entry& entry = entries_[slot];
        if (entry.state == DMR_REMAPPED && dmr_le64(entry.main_block) == block &&
            !superseded_.contains(slot)) {
            return LiveRemap{block,      slot,        dmr_le64(entry.time),
                             entry.lost, entry.retry, entry.reason};
        }
    }
    return std::nullopt;
}

std::uint64_t EntryTable::commits() const {
    const std::lock_guard lock(mutex_);
    return commits_;
}

std::uint64_t EntryTable::collect_live(
    std::uint64_t from, std::vector<std::pair<std::uint64_t, dmr_entry>>& batch) const {
    batch.clear();
    const std::lock_guard lock(mutex_);
    if (from >= entries_.size()) {
        return 0;
    }
    const std::uint64_t end = std::min<std::uint64_t>(from + kCollectAtOnce, entries_.size());
    for (std::uint64_t slot = from; slot < end; slot++) {
        if (entries_[slot].state == DMR_REMAPPED && !superseded_.contains(slot)) {
            batch.emplace_back(slot, entries_[slot]);
        }
    }
    return end;
}

}  // namespace dmremap
