// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/entry_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>

#include "core/device/error_class.h"
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

int EntryTable::flush() {
    const int error = spare_.flush();
    broken_ = broken_ || error != 0;
    return error;
}

bool EntryTable::write_page(int copy, std::uint64_t page, const std::vector<dmr_entry>& image) {
    const std::uint64_t offset = dmr_page_offset(&store_.current(), copy, page);
    const std::uint64_t size = dmr_le32(store_.current().page_size);
    return spare_.write(offset, image.data(), size) == 0 ||
           spare_.write(offset, image.data(), size) == 0;
}

std::vector<dmr_entry> EntryTable::page_image(std::uint64_t page) const {
    std::vector<dmr_entry> image(per_page_);
    for (std::uint64_t i = 0; i < per_page_; i++) {
        const std::uint64_t slot = page * per_page_ + i;
        image[i] = slot < entries_.size() ? sealed(slot) : initial_entry(store_.current(), slot);
    }
    return image;
}

void EntryTable::retire(std::uint64_t page) {
    const std::lock_guard lock(mutex_);
    if (pages_[page] == PageHealth::good) {
        counts_.retired_pages++;
        const std::uint64_t end = std::min((page + 1) * per_page_, entries_.size());
        for (std::uint64_t slot = page * per_page_; slot < end; slot++) {
            free_ -= usable(slot) ? 1 : 0;
        }
    }
    pages_[page] = PageHealth::mixed;
}

int EntryTable::repair(std::uint64_t& pages_rewritten, std::uint64_t& claims_erased) {
    pages_rewritten = claims_erased = 0;
    std::vector<std::uint64_t> rewritten;
    for (std::uint64_t page = 0; page < pages_.size(); page++) {
        if (pages_[page] != PageHealth::first_is_good &&
            pages_[page] != PageHealth::second_is_good) {
            continue;
        }
        const int bad_copy = pages_[page] == PageHealth::first_is_good ? 1 : 0;
        if (write_page(bad_copy, page, page_image(page))) {
            rewritten.push_back(page);
        }
    }
    if (!rewritten.empty()) {
        if (const int error = flush(); error != 0) {
            return error;
        }
    }
    {
        const std::lock_guard lock(mutex_);
        for (const std::uint64_t page : rewritten) {
            pages_[page] = PageHealth::good;
            counts_.retired_pages--;
            const std::uint64_t end = std::min((page + 1) * per_page_, entries_.size());
            for (std::uint64_t slot = page * per_page_; slot < end; slot++) {
                free_ += usable(slot) ? 1 : 0;
            }
        }
    }
    pages_rewritten = rewritten.size();

    std::unordered_set<std::uint64_t> shaky;  // blocks whose winner has but one good copy
    for (const std::uint64_t slot : live_on_retired_pages(entries_.size())) {
        shaky.insert(dmr_le64(entries_[slot].main_block));
    }
    std::vector<EntryChange> erasures;
    for (const std::uint64_t slot : superseded_) {
        if (!retired(slot) && !shaky.contains(dmr_le64(entries_[slot].main_block))) {
            erasures.push_back(EntryChange{.slot = slot});
        }
    }
    for (const CommitOutcome outcome : commit(erasures)) {
        claims_erased += outcome == CommitOutcome::durable ? 1 : 0;
    }
    return broken_ ? EIO : 0;
}

// A read that fails is made once more.
EntryTable::Copy EntryTable::look_at(int copy, std::uint64_t page,
                                     const std::vector<dmr_entry>& image,
                                     std::vector<dmr_entry>& found) {
    const std::uint64_t offset = dmr_page_offset(&store_.current(), copy, page);
    const std::uint64_t size = dmr_le32(store_.current().page_size);
    int error = spare_.read(offset, found.data(), size);
    if (error != 0) {
        error = spare_.read(offset, found.data(), size);
    }
    if (error != 0) {
        return classify(error) == ErrorClass::medium ? Copy::bad : Copy::unknown;
    }
    return std::memcmp(found.data(), image.data(), size) == 0 ? Copy::good : Copy::bad;
}

// Whether the copy holds the image now, and durably.
bool EntryTable::rewrite(int copy, std::uint64_t page, const std::vector<dmr_entry>& image,
                         std::vector<dmr_entry>& found) {
    return !broken_ && write_page(copy, page, image) && flush() == 0 &&
           look_at(copy, page, image, found) == Copy::good;
}

PageCheck EntryTable::check_page(std::uint64_t page) {
    if (broken_ || page >= pages_.size() || pages_[page] != PageHealth::good) {
        return PageCheck::good;
    }
    const std::vector<dmr_entry> image = page_image(page);
    std::vector<dmr_entry> found(image.size());
    std::array<bool, 2> good{};
    for (const int copy : {0, 1}) {
        const Copy is = look_at(copy, page, image, found);
        if (is == Copy::unknown) {
            return PageCheck::unknown;
        }
        good[static_cast<unsigned>(copy)] = is == Copy::good;
    }
    if (good[0] && good[1]) {
        return PageCheck::good;
    }
    // Of what somebody else has overwritten nothing is repaired.
    if (!good[0] && !good[1] && !store_.still_there()) {
        return PageCheck::unknown;
    }
    for (const int copy : {0, 1}) {
        bool& is_good = good[static_cast<unsigned>(copy)];
        is_good = is_good || rewrite(copy, page, image, found);
    }
    if (good[0] && good[1]) {
        return PageCheck::repaired;
    }
    retire(page);
    return good[0] || good[1] ? PageCheck::retired : PageCheck::lost;
}

std::optional<std::uint64_t> EntryTable::allocate(int& error) {
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
    if (const int error = used_entry_in_pages(spare_, now, pages, end - pages, used); error != 0) {
        return error;
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
    if (const int error = initialise_pages(spare_, now, pages, end - pages, bad); error != 0) {
        return error;
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

std::vector<CommitOutcome> EntryTable::commit(std::span<const EntryChange> changes) {
    std::vector<CommitOutcome> outcomes(changes.size(), CommitOutcome::page_failed);
    if (changes.empty() || broken_) {
        std::fill(outcomes.begin(), outcomes.end(), CommitOutcome::unknown);
        return outcomes;
    }
    const auto now =
        std::min(static_cast<std::uint64_t>(std::time(nullptr)), PackedEntries::kLatestTime);
    std::map<std::uint64_t, PageWrite> writes;   // by page; the snapshot both copies get
    std::unordered_set<std::uint64_t> replaced;  // its nodes go to superseded_
    for (const EntryChange& change : changes) {
        const std::uint64_t page = change.slot / per_page_;
        if (change.replaces) {
            replaced.insert(*change.replaces);
        }
        if (retired(change.slot)) {
            continue;
        }
        auto [at, fresh] = writes.try_emplace(page, PageWrite{page, {}, false});
        if (fresh) {
            at->second.image = page_image(page);
        }
        dmr_entry& entry = at->second.image[change.slot % per_page_];
        entry.main_block = dmr_to_le64(change.main_block);
        entry.sequence = dmr_to_le64(next_sequence_++);
        entry.time = dmr_to_le64(now);
        entry.state = change.state;
        entry.lost = change.lost;
        entry.retry = change.retry;
        entry.reason = change.reason;
        entry.crc = dmr_to_le32(dmr_entry_crc(&entry, store_.current().uuid, change.slot));
    }
    {
        const std::lock_guard lock(mutex_);
        superseded_.reserve(superseded_.size() + replaced.size());
        for (const EntryChange& change : changes) {
            entries_.make_room(change.slot);
        }
    }
    // From here on no memory is asked for: what is once under the pen must be followed up.
    for (auto& [page, write] : writes) {
        write.failed = !write_page(0, page, write.image);
    }
    const bool first_durable = flush() == 0;
    if (first_durable) {
        for (auto& [page, write] : writes) {
            if (write.failed || !write_page(1, page, write.image)) {
                retire(page);
            }
        }
        flush();
    }
    const std::lock_guard lock(mutex_);
    commits_++;
    for (std::size_t i = 0; i < changes.size(); i++) {
        const auto at = writes.find(changes[i].slot / per_page_);
        if (at == writes.end() || (at->second.failed && first_durable)) {
            continue;  // page_failed
        }
        outcomes[i] = first_durable ? CommitOutcome::durable : CommitOutcome::unknown;
        if (!first_durable) {
            continue;
        }
        const std::uint64_t slot = changes[i].slot;
        const bool was_usable = usable(slot);
        if (superseded_.erase(slot) == 0) {
            account(entries_[slot], -1);
        }
        entries_.set(slot, at->second.image[slot % per_page_]);
        account(entries_[slot], 1);
        reserved_.erase(slot);
        free_ = free_ - (was_usable ? 1 : 0) + (usable(slot) ? 1 : 0);
        if (changes[i].replaces) {
            auto node = replaced.extract(*changes[i].replaces);
            if (!node.empty() && superseded_.insert(std::move(node)).inserted) {
                account(entries_[*changes[i].replaces], -1);
            }
        }
    }
    return outcomes;
}

// What a copy of a retired page says is not all known: it may be a write that failed half way, or
// one that could not be read.
bool EntryTable::may_have_older_claim(std::uint64_t block) const {
    return counts_.retired_pages != 0 ||
           std::any_of(superseded_.begin(), superseded_.end(), [&](std::uint64_t slot) {
               return dmr_le64(entries_[slot].main_block) == block;
           });
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
    for (std::uint64_t page = 0; counts.retired_pages != 0 && page < pages_.size(); page++) {
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
