// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/remap_listing.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "core/events.h"

namespace dmremap {

namespace {

constexpr std::string_view kHeader = "# sector slot spare_sector reason time lost retry\n";

std::string mask(std::uint8_t bits) {
    constexpr const char* kHex = "0123456789abcdef";
    return {'0', 'x', kHex[bits >> 4], kHex[bits & 15]};
}

void append_line(std::string& text, const RemapInfo& remap) {
    for (const std::uint64_t number : {remap.sector, remap.slot, remap.spare_sector})
        text.append(std::to_string(number)).push_back(' ');
    text.append(reason_word(remap.reason)).push_back(' ');
    text.append(std::to_string(remap.time)).push_back(' ');
    text.append(mask(remap.lost)).push_back(' ');
    text.append(mask(remap.retry)).push_back('\n');
}

}  // namespace

RemapListing::Place::Place() {
    if (taken.fetch_add(1) < kMostAtOnce) return;
    taken--;
    throw std::system_error(EBUSY, std::generic_category());
}

RemapListing::RemapListing(const Disk& disk) : marks_{kHeader.size()} {
    remaps_.reserve(disk.status().active_mappings);
    disk.list_remaps([this](const RemapInfo& remap) { remaps_.push_back(remap); });
}

std::string RemapListing::read(std::uint64_t offset, std::size_t size) {
    std::string text;
    std::uint64_t begin = 0;  // where `text` begins in the file
    std::size_t line = 0;
    const std::lock_guard lock(mutex_);
    if (offset < kHeader.size()) {
        text = kHeader;
    } else {
        const auto mark = std::upper_bound(marks_.begin(), marks_.end(), offset) - 1;
        begin = *mark;
        line = static_cast<std::size_t>(mark - marks_.begin()) * kLinesBetweenMarks;
    }
    for (; line < remaps_.size() && begin + text.size() < offset + size; line++) {
        const std::size_t mark = line / kLinesBetweenMarks;
        if (line % kLinesBetweenMarks == 0 && mark == marks_.size())
            marks_.push_back(begin + text.size());
        append_line(text, remaps_[line]);
        // Of what lies before the offset nothing is wanted.
        if (begin + text.size() <= offset) {
            begin += text.size();
            text.clear();
        }
    }
    const std::uint64_t skipped = offset - begin;
    return skipped < text.size() ? text.substr(skipped, size) : std::string();
}

}  // namespace dmremap
