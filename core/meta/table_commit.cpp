// SPDX-License-Identifier: GPL-2.0-or-later
// The commit of a group of changes; the order and its argument are in entry_table.h.
#include <algorithm>
#include <ctime>
#include <new>

#include "core/device/patience.h"
#include "core/meta/entry_table.h"
#include "core/meta/page_io.h"

namespace dmremap {

// The medium gets a second chance at once, want of resources some with pauses: the same snapshot.
int EntryTable::write_page(int copy, std::uint64_t page, const std::vector<dmr_entry>& image) {
    const std::uint64_t offset = dmr_page_offset(&store_.current(), copy, page);
    const std::uint64_t size = dmr_le32(store_.current().page_size);
    const auto once = [&] { return spare_.write(offset, image.data(), size); };
    const int error = patiently(once);
    return classify(error) == ErrorClass::medium ? patiently(once) : error;
}

void EntryTable::fill_image(std::uint64_t page, std::vector<dmr_entry>& image) const {
    for (std::uint64_t i = 0; i < per_page_; i++) {
        const std::uint64_t slot = page * per_page_ + i;
        image[i] = slot < entries_.size() ? sealed(slot) : initial_entry(store_.current(), slot);
    }
}

std::vector<dmr_entry> EntryTable::page_image(std::uint64_t page) const {
    std::vector<dmr_entry> image(per_page_);
    fill_image(page, image);
    return image;
}

// What an error that is not the medium's leaves behind only the copy itself can say.
EntryTable::Put EntryTable::put(int copy, std::uint64_t page, const std::vector<dmr_entry>& image,
                                Scratch& scratch) {
    const int error = write_page(copy, page, image);
    if (error == 0) {
        return Put::done;
    }
    device_error_ = error;
    if (classify(error) == ErrorClass::medium) {
        return Put::failed;
    }
    fill_image(page, scratch.before);
    return look_at(copy, page, scratch.before, scratch.found) == Copy::good ? Put::untouched
                                                                            : Put::unsure;
}

std::vector<CommitOutcome> EntryTable::commit(std::span<const EntryChange> changes) {
    std::vector<CommitOutcome> outcomes(changes.size(), CommitOutcome::page_failed);
    if (changes.empty() || broken_) {
        std::fill(outcomes.begin(), outcomes.end(), CommitOutcome::unknown);
        return outcomes;
    }
    device_error_ = 0;
    if (pay_back() != 0) {
        std::fill(outcomes.begin(), outcomes.end(),
                  broken_ ? CommitOutcome::unknown : CommitOutcome::refused);
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
        auto [at, fresh] = writes.try_emplace(page, PageWrite{{}, Put::done, Put::done});
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
    Scratch scratch{std::vector<dmr_entry>(per_page_), std::vector<dmr_entry>(per_page_)};
    room_to_owe(writes.size());
    {
        const std::lock_guard lock(mutex_);
        superseded_.reserve(superseded_.size() + replaced.size());
        for (const EntryChange& change : changes) {
            entries_.make_room(change.slot);
        }
    }
    // From here on no memory is asked for: what is once under the pen must be followed up.
    bool issued = false;
    for (auto& [page, write] : writes) {
        write.first = put(0, page, write.image, scratch);
        issued = issued || write.first != Put::untouched;
    }
    const bool first_durable = !issued || flush() == 0;
    if (issued && first_durable) {
        for (auto& [page, write] : writes) {
            if (write.first == Put::done) {
                write.second = put(1, page, write.image, scratch);
                if (write.second == Put::failed) {
                    retire(page);
                } else if (write.second != Put::done) {
                    owe(page, PageHealth::first_is_good);
                    old_version_left_ = device_error_;
                }
            } else if (write.first == Put::failed) {
                retire(page);
            } else if (write.first == Put::unsure) {
                owe(page, PageHealth::second_is_good);
                taken_back_.push_back(page);
            }
        }
        flush();
    }
    publish(changes, writes, replaced, first_durable, outcomes);
    if (std::ranges::find(outcomes, CommitOutcome::owed) != outcomes.end()) {
        pay_at_once(changes, outcomes);
    }
    forget_old_versions();
    return outcomes;
}

// In memory, what has become durable. The caller has made room for all of it.
void EntryTable::publish(std::span<const EntryChange> changes,
                         const std::map<std::uint64_t, PageWrite>& writes,
                         std::unordered_set<std::uint64_t>& replaced, bool first_durable,
                         std::vector<CommitOutcome>& outcomes) {
    const std::lock_guard lock(mutex_);
    commits_++;
    for (std::size_t i = 0; i < changes.size(); i++) {
        const auto at = writes.find(changes[i].slot / per_page_);
        if (at != writes.end() && at->second.first == Put::untouched) {
            outcomes[i] = CommitOutcome::refused;
            continue;
        }
        if (at == writes.end() || (at->second.first != Put::done && first_durable)) {
            if (at != writes.end() && at->second.first == Put::unsure) {
                renew(changes[i].slot);
            }
            continue;  // page_failed
        }
        if (!first_durable) {
            outcomes[i] = CommitOutcome::unknown;
            continue;
        }
        outcomes[i] = at->second.second == Put::done     ? CommitOutcome::durable
                      : at->second.second == Put::failed ? CommitOutcome::durable_once
                                                         : CommitOutcome::owed;
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
}

// The entry as it is, newer than the change that the first copy may have got: that version must not
// win where it comes back. Not so a claim that lost: it must stay older than the one that won, and
// what it was to become, free, may come back.
void EntryTable::renew(std::uint64_t slot) {
    if (superseded_.contains(slot)) {
        return;
    }
    dmr_entry entry = entries_[slot];
    entry.sequence = dmr_to_le64(next_sequence_++);
    entries_.set(slot, entry);
}

// Better than a change that is made and yet cannot be acknowledged.
void EntryTable::pay_at_once(std::span<const EntryChange> changes,
                             std::vector<CommitOutcome>& outcomes) {
    const int why = device_error_;
    try {
        pay_back();
    } catch (const std::bad_alloc&) {  // it waits
    }
    device_error_ = device_error_ != 0 ? device_error_ : owes() ? why : 0;
    for (std::size_t i = 0; i < changes.size(); i++) {
        const std::uint64_t page = changes[i].slot / per_page_;
        if (outcomes[i] == CommitOutcome::owed && std::ranges::find(owed_, page) == owed_.end()) {
            outcomes[i] = pages_[page] == PageHealth::good ? CommitOutcome::durable
                                                           : CommitOutcome::durable_once;
            std::erase(unpaid_, page);  // the caller makes these elsewhere
        }
    }
}

}  // namespace dmremap
