// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/fault_rules.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace dmremap {

void FaultRules::apply(const FaultStatement& s) {
    const Interval sectors(s.first, s.first + s.count);
    switch (s.verb) {
        case FaultVerb::bad: {
            // Each side keeps only what it knows, so that equal neighbours join.
            if (s.reads) {
                FaultOptions options = s.options;
                options.torn.reset();
                options.garble = false;
                bad_reads_.set({sectors, BadSector{options}});
            }
            if (s.writes) {
                FaultOptions options = s.options;
                options.heals = false;
                bad_writes_.set({sectors, BadSector{options}});
            }
            break;
        }
        case FaultVerb::slow:
            if (s.reads) slow_reads_.set({sectors, s.delay_ms});
            if (s.writes) slow_writes_.set({sectors, s.delay_ms});
            break;
        case FaultVerb::fail:
            calls_.push_back({s.reads, s.writes, s.flushes, s.first - 1, s.count, s.options});
            break;
        case FaultVerb::vanish:
            vanishing_ = s.first;
            break;
        case FaultVerb::come_back:
            vanishing_.reset();
            break;
        case FaultVerb::heal:
            bad_reads_.erase(sectors);
            bad_writes_.erase(sectors);
            slow_reads_.erase(sectors);
            slow_writes_.erase(sectors);
            break;
        case FaultVerb::clear:
            *this = FaultRules();
            break;
    }
}

bool FaultRules::empty() const {
    return bad_reads_.empty() && bad_writes_.empty() && slow_reads_.empty() &&
           slow_writes_.empty() && calls_.empty() && !vanishing_;
}

FaultVerdict FaultRules::judge(const FaultCall& call) {
    const bool writing = call.op == Op::write || call.op == Op::zero;
    FaultVerdict verdict;
    if (vanishing_ && *vanishing_ == 0) {
        verdict.error = ENODEV;
        return verdict;
    }
    if (call.op == Op::discard) return verdict;
    if (vanishing_) --*vanishing_;

    if (call.op != Op::flush) verdict.delay_ms = delay(call, writing);
    if (const auto options = failing_call(call, writing)) {
        verdict.error = options->error;
        if (writing) {
            verdict.written = options->torn.value_or(0);
            verdict.garble = options->garble;
        }
    } else if (call.op != Op::flush) {
        judge_sectors(call, writing ? bad_writes_ : bad_reads_, verdict);
    }
    if (writing) {
        const std::uint64_t length = call.end - call.first;
        if (verdict.error == 0)
            heal_written(call.first, call.end);
        else
            verdict.written = std::min(verdict.written, length) / call.unit * call.unit;
        if (verdict.error != 0) heal_written(call.first, call.first + verdict.written);
        if (verdict.written == length) verdict.garble = false;
    }
    return verdict;
}

std::uint32_t FaultRules::delay(const FaultCall& call, bool writing) const {
    const auto& slow = writing ? slow_writes_ : slow_reads_;
    std::uint32_t longest = 0;
    const auto [begin, end] = slow.equal_range(Interval(call.first, call.end));
    for (auto at = begin; at != end; ++at) longest = std::max(longest, at->second);
    return longest;
}

// Every rule counts every call of its kinds, also when another one fails it.
std::optional<FaultOptions> FaultRules::failing_call(const FaultCall& call, bool writing) {
    std::optional<FaultOptions> result;
    std::erase_if(calls_, [&](CallRule& rule) {
        const bool counts = call.op == Op::flush ? rule.flushes
                            : writing            ? rule.writes
                                                 : rule.reads;
        if (!counts) return false;
        if (rule.passing != 0) {
            --rule.passing;
            return false;
        }
        if (!result) result = rule.options;
        return rule.failing != 0 && --rule.failing == 0;
    });
    return result;
}

void FaultRules::judge_sectors(const FaultCall& call, SectorMap<BadSector>& bad,
                               FaultVerdict& verdict) {
    const Interval range(call.first, call.end);
    const auto [begin, end] = bad.equal_range(range);
    if (begin == end) return;

    const FaultOptions& options = begin->second.options;
    verdict.error = options.error;
    if (call.op != Op::read) {
        const std::uint64_t before = std::max(begin->first.lower(), call.first) - call.first;
        verdict.written = options.torn.value_or(before);
        verdict.garble = options.garble;
    }
    // The call counts for each of its sectors that fail only so many times.
    std::vector<std::pair<Interval, BadSector>> counted;
    for (auto at = begin; at != end; ++at)
        if (at->second.options.times != 0) counted.emplace_back(at->first & range, at->second);
    for (auto& [sectors, sector] : counted)
        if (--sector.options.times == 0)
            bad.erase(sectors);
        else
            bad.set({sectors, sector});
}

void FaultRules::heal_written(std::uint64_t first, std::uint64_t end) {
    if (first == end || bad_reads_.empty()) return;
    const Interval range(first, end);
    std::vector<Interval> healed;
    const auto [begin, stop] = bad_reads_.equal_range(range);
    for (auto at = begin; at != stop; ++at)
        if (at->second.options.heals) healed.push_back(at->first & range);
    for (const Interval& sectors : healed) bad_reads_.erase(sectors);
}

void FaultRules::describe(const FaultStatement& mine, std::string& text) const {
    const auto sectors = [&](const auto& map, FaultVerb verb, bool reads, auto set_value) {
        for (const auto& [range, value] : map) {
            FaultStatement s = mine;
            s.verb = verb;
            s.reads = reads;
            s.writes = !reads;
            s.first = range.lower();
            s.count = range.upper() - range.lower();
            set_value(s, value);
            text += fault_line(s);
        }
    };
    const auto bad = [](FaultStatement& s, const BadSector& sector) { s.options = sector.options; };
    const auto slow = [](FaultStatement& s, std::uint32_t delay_ms) { s.delay_ms = delay_ms; };
    sectors(bad_reads_, FaultVerb::bad, true, bad);
    sectors(bad_writes_, FaultVerb::bad, false, bad);
    sectors(slow_reads_, FaultVerb::slow, true, slow);
    sectors(slow_writes_, FaultVerb::slow, false, slow);
    for (const CallRule& rule : calls_) {
        FaultStatement s = mine;
        s.verb = FaultVerb::fail;
        s.reads = rule.reads;
        s.writes = rule.writes;
        s.flushes = rule.flushes;
        s.first = rule.passing + 1;
        s.count = rule.failing;
        s.options = rule.options;
        text += fault_line(s);
    }
    if (vanishing_) {
        FaultStatement s = mine;
        s.verb = FaultVerb::vanish;
        s.first = *vanishing_;
        text += fault_line(s);
    }
}

}  // namespace dmremap
