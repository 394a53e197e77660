// SPDX-License-Identifier: GPL-2.0-or-later
// Pages of the entry table that lack a good copy: at opening, for a scan, and after a commit that
// the machine could not finish. See entry_table.h.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/device/error_class.h"
#include "core/meta/entry_table.h"

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
        owed_.pop_back();
        set_health(page, device_error_ == 0 ? PageHealth::good : PageHealth::mixed);
        counts_.retired_pages += device_error_ == 0 ? 0 : 1;
    }
    return 0;
}

int EntryTable::repair(std::uint64_t& pages_rewritten, std::uint64_t& claims_erased) {
    pages_rewritten = claims_erased = 0;
    std::vector<std::uint64_t> rewritten, owed;
    for (std::uint64_t page = 0; page < pages_.size(); page++) {
        if (pages_[page] != PageHealth::first_is_good &&
            pages_[page] != PageHealth::second_is_good) {
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
