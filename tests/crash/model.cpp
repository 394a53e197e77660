// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/model.h"

#include <algorithm>
#include <cstring>

namespace dmremap::test {

std::uint32_t Values::add(const std::byte* bytes) {
    Bytes& added = bytes_.emplace_back();
    std::memcpy(added.data(), bytes, kSector);
    return next() - 1;
}

std::uint32_t Values::add_fresh() {
    std::uint64_t words[kSector / 8];
    for (std::uint64_t i = 0; i < std::size(words); ++i)
        words[i] = ((std::uint64_t{next()} << 8) + i + 1) * 0x9E3779B97F4A7C15ull;
    return add(reinterpret_cast<const std::byte*>(words));
}

std::uint32_t Values::add_zeros() {
    bytes_.emplace_back(Bytes{});
    return next() - 1;
}

std::optional<std::uint32_t> Values::find(const std::byte* bytes) const {
    for (std::uint32_t value = 1; value < next(); ++value)
        if (std::memcmp(of(value).data(), bytes, kSector) == 0) return value;
    return std::nullopt;
}

Area::Area(std::uint64_t disk_sectors, std::vector<std::uint64_t> followed)
    : sectors(std::move(followed)), place(disk_sectors, -1) {
    std::sort(sectors.begin(), sectors.end());
    for (std::size_t i = 0; i < sectors.size(); ++i)
        place[sectors[i]] = static_cast<std::int32_t>(i);
}

Model::Model(std::shared_ptr<const Area> area, const std::vector<std::uint32_t>& values,
             std::uint32_t unit)
    : area_(std::move(area)), unit_(unit) {
    for (const std::uint32_t value : values) versions_.emplace_back().push_back({value, 0});
}

std::size_t Model::first_visible(const Versions& versions) const {
    for (std::size_t i = versions.size(); i-- > 0;)
        if (versions[i].acked < kMaybe) return i;
    return 0;
}

void Model::add(std::uint64_t sector, std::uint32_t value) {
    if (!followed(sector)) return;
    Versions& versions = at(sector);
    for (std::size_t i = first_visible(versions); i < versions.size(); ++i)
        if (versions[i].value == value) return;
    versions.push_back({value, kMaybe});
}

bool Model::apply(const Mark& event, std::uint32_t place) {
    bool stricter = false;
    const std::uint64_t end = event.first + event.count;
    switch (event.kind) {
        case Mark::Kind::write_begun:
            // A drive that fails a write may have destroyed what was there.
            for (std::size_t i = 0; i < event.cells.size(); ++i)
                if (event.cells[i].unreadable && event.homes[i] != kNoHome)
                    add(event.homes[i], Values::kEio);
            break;
        case Mark::Kind::asked:
            for (std::uint64_t s = event.first; s < end; ++s)
                at(s).push_back({event.value + static_cast<std::uint32_t>(s - event.first),
                                 event.on ? kPending : kMaybe});
            break;
        case Mark::Kind::answered:
            for (std::uint64_t s = event.first; s < end; ++s) {
                const std::uint32_t value =
                    event.value + static_cast<std::uint32_t>(s - event.first);
                Versions& versions = at(s);
                const auto version = std::find_if(
                    versions.begin(), versions.end(),
                    [&](const Version& v) { return v.value == value && v.acked == kPending; });
                if (version == versions.end()) continue;  // a discard
                version->acked = event.error == 0 ? place : kMaybe;
                // What went wrong on the way to success is past.
                if (event.error == 0) std::rotate(version, version + 1, versions.end());
            }
            break;
        case Mark::Kind::flushed:
            for (Versions& versions : versions_) {
                std::size_t i = versions.size();
                while (i-- > 1)
                    if (versions[i].acked < event.since) {
                        versions.erase(versions.begin(),
                                       versions.begin() + static_cast<std::ptrdiff_t>(i));
                        stricter = true;
                        break;
                    }
            }
            break;
        case Mark::Kind::may_fail:
            for (std::uint64_t s = event.first; s < end; ++s) add(s, Values::kEio);
            break;
        case Mark::Kind::regained:
            for (std::uint64_t s = event.first; s < end; ++s) {
                Versions& versions = at(s);
                const auto gone = std::remove_if(
                    versions.begin(), versions.end(),
                    [](const Version& version) { return version.value == Values::kEio; });
                stricter |= gone != versions.end();
                versions.erase(gone, versions.end());
            }
            break;
        case Mark::Kind::settled:
            for (std::uint64_t s = event.first; s < end; ++s) {
                stricter |= at(s).size() > 1;
                at(s).erase(at(s).begin() + 1, at(s).end());
                at(s).front() = {event.value, 0};
            }
            break;
        default:
            break;
    }
    return stricter;
}

void Model::crashed() {
    for (Versions& versions : versions_)
        if (versions.size() == 1)
            versions.front().acked = 0;
        else
            for (Version& version : versions) version.acked = kMaybe;
}

bool Model::being_written(std::uint64_t sector) const {
    for (std::uint64_t s = sector / unit_ * unit_; s < (sector / unit_ + 1) * unit_; ++s) {
        if (s >= area_->place.size() || !followed(s)) continue;
        const Versions& versions = at(s);
        for (std::size_t i = 1; i < versions.size(); ++i)
            if (versions[i].value != Values::kEio) return true;
    }
    return false;
}

bool Model::visible(std::uint64_t sector, const std::byte* bytes, const Values& values) const {
    return value_of(sector, bytes, values) != Values::kEio;
}

std::uint32_t Model::value_of(std::uint64_t sector, const std::byte* bytes,
                              const Values& values) const {
    const Versions& versions = at(sector);
    for (std::size_t i = first_visible(versions); i < versions.size(); ++i)
        if (versions[i].value != Values::kEio &&
            std::memcmp(values.of(versions[i].value).data(), bytes, kSector) == 0)
            return versions[i].value;
    return Values::kEio;
}

bool Model::may_be_eio(std::uint64_t sector) const {
    for (std::uint64_t s = sector / unit_ * unit_; s < (sector / unit_ + 1) * unit_; ++s) {
        if (s >= area_->place.size() || !followed(s)) continue;
        const Versions& versions = at(s);
        for (std::size_t i = first_visible(versions); i < versions.size(); ++i)
            if (versions[i].value == Values::kEio) return true;
    }
    return false;
}

std::optional<std::uint32_t> Model::only_value(std::uint64_t sector) const {
    const Versions& versions = at(sector);
    std::optional<std::uint32_t> only;
    for (std::size_t i = first_visible(versions); i < versions.size(); ++i) {
        if (versions[i].value == Values::kEio) continue;
        if (only) return std::nullopt;
        only = versions[i].value;
    }
    return only;
}

std::string Model::text(std::uint64_t sector) const {
    std::string text;
    for (const Version& version : at(sector)) {
        text += text.empty() ? "" : ", ";
        text += version.value == Values::kEio ? "EIO" : "value " + std::to_string(version.value);
        if (version.acked == kPending)
            text += " (not answered)";
        else if (version.acked == kMaybe)
            text += " (perhaps)";
        else
            text += " (acknowledged at " + std::to_string(version.acked) + ")";
    }
    return text;
}

}  // namespace dmremap::test
