// SPDX-License-Identifier: GPL-2.0-or-later
// Pages of the entry table that lack a good copy: at opening, for a scan, and after a commit that
// the machine could not finish. See entry_table.h.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/device/error_class.h"
#include "core/device/patience.h"
#include "core/meta/entry_table.h"
#include "core/meta/page_io.h"

namespace dmremap {

// Of a page with one good copy.
int EntryTable::worse_copy(std::uint64_t page) const {
    return pages_[page] == PageHealth::first_is_good ? 1 : 0;
}

void EntryTable::set_health(std::uint64_t page, PageHealth health) {
    const std::uint64_t end = std::min((page + 1) * per_page_, entries_.size());
    const auto count_usable = [&] {
        std::uint64_t n = 0;
        for (std::uint64_t slot = page * per_page_; slot < end; slot++) {
            n += usable(slot) ? 1 : 0;
        }
        return n;
    };
    free_ -= count_usable();
    pages_[page] = health;
    free_ += count_usable();
}

void EntryTable::retire(std::uint64_t page) {
    const std::lock_guard lock(mutex_);
    set_health(page, PageHealth::mixed);
    counts_.retired_pages++;
}

void EntryTable::room_to_owe(std::size_t pages) {
    const std::lock_guard lock(mutex_);
    owed_.reserve(owed_.size() + pages);
    taken_back_.reserve(taken_back_.size() + pages);
    unpaid_.reserve(unpaid_.size() + owed_.size() + pages);
}

void EntryTable::owe(std::uint64_t page, PageHealth health) {
    const std::lock_guard lock(mutex_);
    set_health(page, health);
    owed_.push_back(page);
}

int EntryTable::pay_back() {
    while (!owed_.empty()) {
        const std::uint64_t page = owed_.back();
        device_error_ = write_page(worse_copy(page), page, page_image(page));
        if (device_error_ != 0 && classify(device_error_) != ErrorClass::medium) {
            return device_error_;
        }
        if (device_error_ == 0 && flush() != 0) {
            return EIO;
        }
        const std::lock_guard lock(mutex_);
        const bool taken_back = std::erase(taken_back_, page) != 0;
        if (taken_back && device_error_ == 0) {
            set_health(page, PageHealth::first_is_good);  // now the other copy
            continue;
        }
        owed_.pop_back();
        if (device_error_ != 0 && old_version_left_ != 0 && !taken_back) {
            unpaid_.push_back(page);
        }
        set_health(page, device_error_ == 0 ? PageHealth::good : PageHealth::mixed);
        counts_.retired_pages += device_error_ == 0 ? 0 : 1;
    }
    forget_old_versions();
    return 0;
}

// When a debt was paid, or blocks have moved. Asks for no memory.
void EntryTable::forget_old_versions() {
    if (old_version_left_ == 0 || owes()) {
        return;
    }
    std::erase_if(unpaid_, [&](std::uint64_t page) {
        const std::uint64_t end = std::min((page + 1) * per_page_, entries_.size());
        std::uint64_t slot = page * per_page_;
        while (slot < end && (entries_[slot].state != DMR_REMAPPED || superseded_.contains(slot))) {
            slot++;
        }
        return slot == end;
    });
    if (unpaid_.empty()) {
        old_version_left_ = 0;
    }
}

// A mixed page, in pieces that a power cut garbles whole or not at all: where one copy of a piece
// has all of the truth, that piece of the other gets it, and the rest of both stays as it is. So at
// every instant one copy of each piece is whole that was before. `whole`: both copies are now, once
// flushed.
int EntryTable::mend(std::uint64_t page, bool& whole) {
    const dmr_superblock& sb = store_.current();
    const DeviceInfo& info = spare_.info();
    const std::uint64_t piece =
        std::max({std::uint64_t{DMR_SECTOR_SIZE}, std::uint64_t{info.logical_block},
                  std::uint64_t{info.physical_block}});
    const std::vector<dmr_entry> image = page_image(page);
    std::array<std::vector<dmr_entry>, 2> found;
    for (const int copy : {0, 1}) {
        if (const int error = read_pages(spare_, sb, copy, page, 1, found.at(copy)); error != 0) {
            return error;
        }
    }
    whole = true;
    const std::uint64_t entries = std::min(per_page_, entries_.size() - page * per_page_);
    const std::uint64_t in_piece = std::min(piece / sizeof(dmr_entry), per_page_);
    for (std::uint64_t begin = 0; begin < entries; begin += in_piece) {
        const std::uint64_t size = std::min(in_piece, entries - begin) * sizeof(dmr_entry);
        std::array<bool, 2> good{};
        for (const unsigned copy : {0u, 1u}) {
            good.at(copy) = std::memcmp(&found.at(copy)[begin], &image[begin], size) == 0;
        }
        if (good[0] && good[1]) {
            continue;
        }
        if (!good[0] && !good[1]) {
            whole = false;
            continue;
        }
        const std::uint64_t offset =
            dmr_page_offset(&sb, good[0] ? 1 : 0, page) + begin * sizeof(dmr_entry);
        const int error = patiently(
            [&] { return spare_.write(offset, &image[begin], in_piece * sizeof(dmr_entry)); });
        if (error != 0 && classify(error) != ErrorClass::medium) {
            return error;
        }
        whole = whole && error == 0;
    }
    return 0;
}

int EntryTable::repair(std::uint64_t& pages_rewritten, std::uint64_t& claims_erased) {
    pages_rewritten = claims_erased = 0;
    std::vector<std::uint64_t> rewritten, owed;
    for (std::uint64_t page = 0; page < pages_.size(); page++) {
        if (pages_[page] == PageHealth::good) {
            continue;
        }
        if (pages_[page] == PageHealth::mixed) {
            bool whole = false;
            if (mend(page, whole) == 0 && whole) {
                rewritten.push_back(page);
            }
            continue;
        }
        const int error = write_page(worse_copy(page), page, page_image(page));
        if (error == 0) {
            rewritten.push_back(page);
        } else if (classify(error) != ErrorClass::medium) {
            owed.push_back(page);
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
            set_health(page, PageHealth::good);
        }
        counts_.retired_pages -= rewritten.size() + owed.size();
        owed_ = std::move(owed);
    }
    pages_rewritten = rewritten.size();
    // Once more, for a claim whose winner's page is owed a copy is not erased.
    pay_back();

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
    // What is not erased here nobody erases before the next opener, and until then the block cannot
    // be unmapped.
    for (int tried = 0; tried < 2 && !erasures.empty(); tried++) {
        const std::vector<CommitOutcome> outcomes = commit(erasures);
        std::size_t refused = 0;
        for (std::size_t i = 0; i < erasures.size(); i++) {
            claims_erased += outcomes[i] == CommitOutcome::durable ? 1 : 0;
            if (outcomes[i] == CommitOutcome::refused) {
                erasures[refused++] = erasures[i];
            }
        }
        erasures.resize(refused);
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

// 0: the copy holds the image now, and durably.
int EntryTable::rewrite(int copy, std::uint64_t page, const std::vector<dmr_entry>& image,
                        std::vector<dmr_entry>& found) {
    if (broken_) {
        return EIO;
    }
    if (const int error = write_page(copy, page, image); error != 0) {
        return error;
    }
    if (flush() != 0) {
        return EIO;
    }
    const Copy is = look_at(copy, page, image, found);
    return is == Copy::good ? 0 : is == Copy::bad ? EIO : EAGAIN;
}

PageCheck EntryTable::check_page(std::uint64_t page) {
    if (broken_ || page >= pages_.size() || pages_[page] != PageHealth::good) {
        return PageCheck::good;
    }
    const std::vector<dmr_entry> image = page_image(page);
    std::vector<dmr_entry> found(image.size());
    room_to_owe(1);
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
    bool refused = false;
    for (const int copy : {0, 1}) {
        bool& is_good = good[static_cast<unsigned>(copy)];
        const int error = is_good ? 0 : rewrite(copy, page, image, found);
        is_good = error == 0;
        refused = refused || (error != 0 && classify(error) != ErrorClass::medium);
    }
    if (good[0] && good[1]) {
        return PageCheck::repaired;
    }
    if (refused && (good[0] || good[1])) {
        owe(page, good[0] ? PageHealth::first_is_good : PageHealth::second_is_good);
        return PageCheck::unknown;
    }
    retire(page);
    return good[0] || good[1] ? PageCheck::retired : PageCheck::lost;
}

}  // namespace dmremap
