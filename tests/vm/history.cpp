// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/vm/history.h"

#include <algorithm>
#include <cstring>

namespace dmremap::test {

void History::take(const Note& note, std::uint64_t place) {
    const std::uint64_t end = std::min<std::uint64_t>(note.first + note.count, sectors());
    switch (note.kind) {
        case Note::Kind::write_asked:
            for (std::uint64_t s = note.first; s < end; s++) {
                if (versions_[s].empty()) versions_[s].push_back({0, 0, 0});
                versions_[s].push_back({note.version, place});
            }
            break;
        case Note::Kind::write_done:
            for (std::uint64_t s = note.first; s < end; s++)
                for (Version& version : versions_[s])
                    if (version.number == note.version) version.done = place;
            break;
        case Note::Kind::flush_asked:
            asked_[note.flush] = place;
            break;
        case Note::Kind::flush_done: {
            const std::uint64_t asked = asked_.at(note.flush);
            asked_.erase(note.flush);
            flushes_++;
            for (auto& versions : versions_) {
                // Of one sector they were written one after the other.
                const auto durable =
                    std::find_if(versions.rbegin(), versions.rend(),
                                 [&](const Version& version) { return version.done < asked; });
                if (durable != versions.rend())
                    versions.erase(versions.begin(), durable.base() - 1);
            }
            break;
        }
    }
}

void History::bad(std::uint64_t first, std::uint64_t count, std::uint64_t place) {
    for (std::uint64_t s = first; s < std::min(first + count, sectors()); s++)
        bad_since_[s] = std::min(bad_since_[s], place);
}

std::string History::allowed(std::uint64_t sector) const {
    std::string text;
    for (const Version& version : versions_[sector])
        text += (text.empty() ? "" : ", ") + std::to_string(version.number);
    return text.empty() ? "0" : text;
}

std::string History::judge(std::uint64_t sector, const void* bytes) const {
    const auto& versions = versions_[sector];
    const std::string where = "sector " + std::to_string(sector) + ": ";
    if (bytes == nullptr) {
        // The newest durable version reached a slot if main was bad by the time it was asked for.
        const std::uint64_t asked = versions.empty() ? 0 : versions.front().asked;
        if (bad_since_[sector] != kNever && asked <= bad_since_[sector]) return "";
        return where + "EIO, wanted version " + allowed(sector);
    }
    Words found;
    std::memcpy(found.data(), bytes, kSector);
    const bool zeros =
        std::all_of(found.begin(), found.end(), [](std::uint64_t word) { return word == 0; });
    const bool true_bytes = zeros || found == content(sector, static_cast<std::uint32_t>(found[0]));
    const std::uint32_t number = zeros ? 0 : static_cast<std::uint32_t>(found[0]);
    if (!true_bytes) return where + "foreign bytes, wanted version " + allowed(sector);
    const bool right = versions.empty()
                           ? number == 0
                           : std::any_of(versions.begin(), versions.end(),
                                         [&](const Version& v) { return v.number == number; });
    return right ? "" : where + "version " + std::to_string(number) + ", wanted " + allowed(sector);
}

}  // namespace dmremap::test
