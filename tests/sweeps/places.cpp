// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/places.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dmremap::test {

namespace {

bool same(const std::vector<std::byte>& a, std::uint64_t at_a, const std::vector<std::byte>& b,
          std::uint64_t at_b, std::uint64_t length) {
    return std::memcmp(a.data() + at_a, b.data() + at_b, length) == 0;
}

// Where something valid of another place of the same copy can be had.
std::uint64_t elsewhere(const History& history, const Place& place) {
    if (place.of == Place::superblock) {
        const unsigned other = (place.copy + 1) % history.copies();
        return dmr_copy_offsets[other] + (place.offset - dmr_copy_offsets[place.copy]);
    }
    const auto places = table_places(history, place.copy, place.length);
    return places[(place.number + 1) % places.size()].offset;
}

}  // namespace

std::string Place::name() const {
    return std::string(of == superblock ? "superblock copy " : "table copy ") +
           std::to_string(copy) + " unit " + std::to_string(number) + " of " +
           std::to_string(length);
}

std::vector<Place> superblock_places(const History&, unsigned copy, std::uint64_t unit) {
    std::vector<Place> places;
    for (std::uint64_t at = 0; at < DMR_SUPERBLOCK_SIZE; at += unit)
        places.push_back(
            {Place::superblock, copy, dmr_copy_offsets[copy] + at, unit, at / unit, true});
    return places;
}

std::vector<Place> table_places(const History& history, unsigned copy, std::uint64_t unit) {
    std::vector<Place> places;
    const std::uint64_t page_size = history.page_size();
    const std::uint64_t length = std::min(unit, page_size);
    const std::uint64_t entries = dmr_le64(history.superblock.table_ready);
    for (std::uint64_t page = 0; page < history.pages(); ++page)
        for (std::uint64_t at = 0; at < page_size; at += length) {
            const std::uint64_t first = (page * page_size + at) / DMR_ENTRY_SIZE;
            places.push_back({Place::table, copy,
                              history.page_offset(static_cast<int>(copy), page) + at, length,
                              places.size(), first < entries});
        }
    return places;
}

std::string Kind::name() const {
    switch (what) {
        case zeros:
            return "zeroed";
        case ones:
            return "all ones";
        case garbage:
            return "garbled";
        case unreadable:
            return "unreadable";
        case unreadable_for_good:
            return "unreadable for good";
        case unwritable:
            return "unreadable and unwritable";
        case other:
            return "swapped";
        case stranger:
            return "of another spare";
        case older:
            return "older " + std::to_string(version);
    }
    return "?";
}

std::vector<Kind> destroying_kinds() {
    return {{Kind::zeros},      {Kind::ones},  {Kind::garbage},
            {Kind::unreadable}, {Kind::other}, {Kind::stranger}};
}

std::vector<Kind> all_kinds(const History& history) {
    std::vector<Kind> kinds = destroying_kinds();
    kinds.push_back({Kind::unreadable_for_good});
    kinds.push_back({Kind::unwritable});
    for (std::size_t version = 0; version < history.older.size(); ++version)
        kinds.push_back({Kind::older, version});
    return kinds;
}

bool damage(DamagedSpare& spare, const History& history, const History* stranger,
            const Place& place, const Kind& kind) {
    const std::uint64_t at = place.offset, length = place.length;
    const auto replace = [&](const std::vector<std::byte>& image) {
        if (same(image, at, history.spare, at, length)) return false;
        spare.take_from(image, at, at, length);
        return true;
    };
    switch (kind.what) {
        case Kind::zeros:
        case Kind::ones: {
            const std::byte value{static_cast<unsigned char>(kind.what == Kind::zeros ? 0 : 0xff)};
            const auto from = history.spare.begin() + static_cast<std::ptrdiff_t>(at);
            if (std::all_of(from, from + static_cast<std::ptrdiff_t>(length),
                            [&](std::byte b) { return b == value; }))
                return false;
            spare.fill(at, length, value);
            return true;
        }
        case Kind::garbage:
            spare.garble(at, length, at);
            return true;
        case Kind::unreadable:
        case Kind::unreadable_for_good:
            spare.unreadable(at, length, kind.what == Kind::unreadable_for_good);
            return true;
        case Kind::unwritable:
            spare.unwritable(at, length);
            return true;
        case Kind::other: {
            const std::uint64_t there = elsewhere(history, place);
            if (same(history.spare, there, history.spare, at, length)) return false;
            spare.take_from(history.spare, there, at, length);
            spare.take_from(history.spare, at, there, length);
            return true;
        }
        case Kind::stranger:
            return replace(stranger->spare);
        case Kind::older:
            return replace(history.older[kind.version]);
    }
    return false;
}

}  // namespace dmremap::test
