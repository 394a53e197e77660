// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/property/register_history.h"

#include <algorithm>

namespace dmremap::test {

void RegisterHistory::wrote(std::uint64_t value, Time start, Time end) {
    writes_[value] = Span{start, end, value};
}

void RegisterHistory::read(std::uint64_t value, Time start, Time end) {
    reads_.push_back(Span{start, end, value});
}

std::string RegisterHistory::text(const Span& span) {
    return "value " + std::to_string(span.value) + " (" + std::to_string(span.from) + " to " +
           std::to_string(span.to) + ")";
}

std::string RegisterHistory::problem() const {
    // What happened at some instant within its span, and until when each value was there for sure.
    std::vector<Span> instants;
    std::map<std::uint64_t, Time> there_until;
    for (const auto& [value, write] : writes_)
        if (write.to != kNever) instants.push_back(write);
    for (const Span& read : reads_) {
        const auto at = writes_.find(read.value);
        if (at == writes_.end()) return "a read of " + text(read) + ", which was never written";
        const Span& write = at->second;
        if (read.to < write.from) return "a read of " + text(read) + " before it was written";
        if (read.from > write.to) {
            Time& until = there_until[read.value];
            until = std::max(until, read.from);
        } else {
            instants.push_back(
                Span{std::max(read.from, write.from), std::min(read.to, write.to), read.value});
        }
    }
    std::vector<Span> zones;
    for (const auto& [value, until] : there_until)
        zones.push_back(Span{writes_.at(value).to, until, value});
    std::sort(zones.begin(), zones.end(),
              [](const Span& a, const Span& b) { return a.from < b.from; });
    for (std::size_t i = 1; i < zones.size(); ++i)
        if (zones[i].from < zones[i - 1].to)
            return "both " + text(zones[i - 1]) + " and " + text(zones[i]) + " were there";
    for (const Span& instant : instants) {
        const auto after =
            std::upper_bound(zones.begin(), zones.end(), instant.from,
                             [](Time time, const Span& zone) { return time < zone.from; });
        if (after == zones.begin()) continue;
        const Span& around = *std::prev(after);
        if (around.value != instant.value && around.from < instant.from && instant.to < around.to)
            return text(instant) + " cannot have been, for " + text(around) + " was there";
    }
    return "";
}

}  // namespace dmremap::test
