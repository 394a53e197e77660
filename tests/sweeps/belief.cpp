// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/belief.h"

#include <algorithm>
#include <cstring>

#include "tests/support/test_pair.h"

namespace dmremap::test {

void Belief::add(std::vector<Bytes>& list, const Bytes& bytes) {
    if (std::find(list.begin(), list.end(), bytes) == list.end()) list.push_back(bytes);
}

Belief::Sector& Belief::at(std::uint64_t sector) {
    const auto [found, fresh] = known_.try_emplace(sector);
    if (fresh) {
        Bytes first;
        std::memcpy(first.data(), pattern(sector, 1, 1).data(), kSector);
        found->second = {{first}, {first}};
    }
    return found->second;
}

void Belief::unreadable_on_main(std::uint64_t sector, std::uint64_t count) {
    for (std::uint64_t s = sector; s < sector + count; ++s) lost_.insert(s);
}

void Belief::written(std::uint64_t offset, const std::vector<std::byte>& data, bool told_success) {
    const std::uint64_t end = offset + data.size();
    for (std::uint64_t at_byte = offset; at_byte < end;) {
        const std::uint64_t s = at_byte / kSector, in = at_byte % kSector;
        const std::uint64_t part = std::min(end - at_byte, kSector - in);
        Sector& sector = at(s);
        std::vector<Bytes> merged;
        for (Bytes bytes : sector.now) {
            std::memcpy(bytes.data() + in, data.data() + (at_byte - offset), part);
            add(merged, bytes);
        }
        for (const Bytes& bytes : merged) add(sector.durable, bytes);
        if (told_success) {
            sector.now = merged;
            lost_.erase(s);
        } else {
            for (const Bytes& bytes : merged) add(sector.now, bytes);
        }
        at_byte += part;
    }
}

void Belief::discarded(std::uint64_t sector, std::uint64_t count) {
    for (std::uint64_t s = sector; s < sector + count; ++s) {
        add(at(s).now, Bytes{});
        add(at(s).durable, Bytes{});
    }
}

void Belief::flushed() {
    for (auto& [number, sector] : known_) sector.durable = sector.now;
}

std::string Belief::read(std::uint64_t first, const std::vector<std::byte>& data) {
    for (std::uint64_t s = first; s < first + data.size() / kSector; ++s) {
        Bytes got;
        std::memcpy(got.data(), data.data() + (s - first) * kSector, kSector);
        const auto known = known_.find(s);
        if (known == known_.end()) {
            if (std::memcmp(got.data(), pattern(s, 1, 1).data(), kSector) == 0) continue;
            return "sector " + std::to_string(s) + ", never written to, reads as something else";
        }
        std::vector<Bytes>& now = known->second.now;
        if (std::find(now.begin(), now.end(), got) == now.end())
            return "sector " + std::to_string(s) + " reads as none of the " +
                   std::to_string(now.size()) + " contents it may have";
        now = {got};
    }
    return "";
}

void Belief::power_cut() {
    for (auto& [number, sector] : known_) sector.now = sector.durable;
}

std::set<std::uint64_t> Belief::touched() const {
    std::set<std::uint64_t> all = lost_;
    for (const auto& [number, sector] : known_) all.insert(number);
    return all;
}

}  // namespace dmremap::test
