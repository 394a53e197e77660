// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/cutter.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "core/format.h"

namespace dmremap::test {

namespace {

constexpr std::size_t kExhaustive = 8;
constexpr std::size_t kThreeWays = 5;
constexpr unsigned kSamples = 48;

}  // namespace

Cutter::Cutter(const CrashState& start, const Tape& tape, const Layout& layout, Values& values,
               bool own_ground)
    : tape_(tape), layout_(layout), values_(values), own_ground_(own_ground), now_(start) {
    if (own_ground_)
        for (Volume& volume : now_.volumes) volume = volume.own();
}

bool Cutter::next() {
    youngest_ = -1;
    while (at_ < tape_.place()) {
        const std::uint32_t place = at_++;
        if (step(tape_.events[place], place)) {
            point_ = place;
            refresh();
            return true;
        }
    }
    if (past_end_) return false;
    past_end_ = true;
    point_ = tape_.place();
    refresh();
    return true;
}

void Cutter::refresh() {
    open_events_.clear();
    for (const Open& open : open_) open_events_.push_back(&tape_.events[open.began]);
}

// True when this makes a point.
bool Cutter::step(const Mark& event, std::uint32_t place) {
    Volume& volume = now_.volumes[index(event.side)];
    auto& faults = now_.faults[index(event.side)];
    const std::uint64_t end = event.first + event.count;
    const bool stricter = now_.model.apply(event, place);
    switch (event.kind) {
        case Mark::Kind::write_begun:
            if (event.cells.empty()) return false;
            youngest_ = static_cast<int>(open_.size());
            open_.push_back({place, kNever});
            return true;
        case Mark::Kind::write_ended: {
            // Writes to one place reach it in the order in which they end.
            const auto at = std::find_if(open_.begin(), open_.end(),
                                         [&](const Open& open) { return open.began == event.id; });
            if (at != open_.end()) {
                at->ended = place;
                std::rotate(at, at + 1, open_.end());
            }
            return false;
        }
        case Mark::Kind::given_up:
            std::erase_if(open_, [&](const Open& open) { return open.began == event.id; });
            return false;
        case Mark::Kind::flush_ended:
            apply_flush(event);
            return false;
        case Mark::Kind::rotted:
            for (std::size_t i = 0; i < event.cells.size(); ++i)
                volume.put(event.first + i, event.cells[i]);
            return false;
        case Mark::Kind::readable:
            for (std::uint64_t s = event.first; s < end; ++s) volume.set_unreadable(s, !event.on);
            return false;
        case Mark::Kind::takes_no:
            for (std::uint64_t s = event.first; s < end; ++s) {
                if (event.on)
                    faults.insert(s);
                else
                    faults.erase(s);
            }
            return false;
        default:
            return stricter;
    }
}

void Cutter::apply_flush(const Mark& event) {
    std::erase_if(open_, [&](const Open& open) {
        const Mark& write = tape_.events[open.began];
        if (write.side != event.side || open.ended > event.id) return false;
        for (std::size_t i = 0; i < write.cells.size(); ++i)
            now_.volumes[index(event.side)].put(write.first + i, write.cells[i]);
        return true;
    });
    if (own_ground_) now_.volumes[index(event.side)].fold();
}

void Cutter::each(std::uint64_t seed, const Each& each) const {
    const std::size_t n = open_.size();
    std::mt19937_64 rng(seed);
    const auto any_damage = [&](std::size_t i) {
        const Mark& write = *open_events_[i];
        return damage(write, layout_, static_cast<std::uint32_t>(rng() % damages(write, layout_)));
    };
    const std::size_t youngest = static_cast<std::size_t>(youngest_);
    const bool has_youngest = youngest_ >= 0;
    Choices choices(n);
    const auto from_mask = [&](std::uint64_t mask) {
        for (std::size_t i = 0; i < n; ++i)
            choices[i] = {(mask >> i & 1) != 0 ? Choice::How::kept : Choice::How::dropped, 0};
    };
    const auto kept_or_dropped = [&](std::uint64_t mask) {
        from_mask(mask);
        if (!has_youngest) return each(choices);
        choices[youngest] = {};
        if (!each(choices)) return false;
        for (int i = 0; i < 2; ++i) {
            choices[youngest] = any_damage(youngest);
            if (!each(choices)) return false;
        }
        return true;
    };
    const auto all = [&](Choice::How how) { choices.assign(n, {how, 0}); };

    if (n <= kExhaustive) {
        for (std::uint64_t mask = 0; mask < std::uint64_t{1} << n; ++mask) {
            if (has_youngest && (mask >> youngest & 1) == 0) continue;
            if (!kept_or_dropped(mask)) return;
        }
    } else {
        all(Choice::How::kept);
        if (!each(choices)) return;
        all(Choice::How::dropped);
        if (has_youngest) choices[youngest] = {};
        if (!each(choices)) return;
        for (unsigned i = 0; i < kSamples; ++i)
            if (!kept_or_dropped(rng())) return;
    }
    if (has_youngest) {
        const Mark& write = *open_events_[youngest];
        for (std::uint32_t d = 0; d < damages(write, layout_); ++d)
            for (const Choice::How others : {Choice::How::kept, Choice::How::dropped}) {
                all(others);
                choices[youngest] = damage(write, layout_, d);
                if (!each(choices)) return;
                if (n == 1) break;
            }
    }
    std::uint64_t ways = 1;
    for (std::size_t i = 0; i < n && i < kThreeWays; ++i) ways *= 3;
    const bool sample = n > kThreeWays;
    for (std::uint64_t way = 0; way < (sample ? kSamples : ways); ++way) {
        std::uint64_t rest = sample ? rng() : way;
        bool damaged = false;
        for (std::size_t i = 0; i < n; ++i, rest /= 3) {
            std::uint64_t digit = rest % 3;
            if (has_youngest && i == youngest && digit == 1) digit = 0;
            choices[i] = digit == 2
                             ? any_damage(i)
                             : Choice{digit == 0 ? Choice::How::kept : Choice::How::dropped, 0};
            damaged |= digit == 2 && !(has_youngest && i == youngest);
        }
        if (damaged && !each(choices)) return;
    }
}

std::uint64_t Cutter::build(const Choices& choices, CrashState& state) const {
    state = now_;
    std::uint64_t sum = choices.size();
    for (std::size_t i = 0; i < choices.size() && i < open_events_.size(); ++i) {
        const Mark& write = *open_events_[i];
        Volume& volume = state.volumes[index(write.side)];
        for (std::size_t c = 0; c < write.cells.size(); ++c) {
            const Outcome result = outcome(write, layout_, choices[i], c);
            if (result.what == Outcome::What::old) continue;
            Cell cell = write.cells[c];
            const std::uint64_t sector = write.first + c;
            if (result.what != Outcome::What::written) {
                // Where a user's write is under way, its accident shows to the user.
                const std::uint32_t home = write.homes[c];
                const bool seen = home != kNoHome && now_.model.being_written(home);
                cell.unreadable = result.what == Outcome::What::unreadable;
                if (cell.unreadable)
                    std::memcpy(cell.bytes.data(), volume.bytes(sector), kSector);
                else
                    cell.bytes = result.garbage;
                if (seen)
                    state.model.add(
                        home, cell.unreadable ? Values::kEio : values_.add(cell.bytes.data()));
            }
            if (cell.unreadable == volume.unreadable(sector) &&
                std::memcmp(cell.bytes.data(), volume.bytes(sector), kSector) == 0)
                continue;
            volume.put(sector, cell);
            const std::uint64_t place =
                sector * 4 + index(write.side) * 2 + (cell.unreadable ? 1 : 0);
            sum = sum * 0x9E3779B97F4A7C15ull + place;
            sum = sum << 32 |
                  (dmr_crc32c(static_cast<std::uint32_t>(sum), cell.bytes.data(), kSector) ^
                   sum >> 32);
        }
    }
    state.model.crashed();
    return sum;
}

std::string Cutter::describe(const Choices& choices) const {
    std::string text;
    for (std::size_t i = 0; i < open_events_.size(); ++i) {
        const Mark& write = *open_events_[i];
        text += "    " + std::to_string(open_[i].began) + ": " +
                layout_.place(write.side, write.first) + ", " + std::to_string(write.count) +
                " sectors" + (write.error != 0 ? " (fails)" : "") +
                (open_[i].ended == kNever ? " (not ended)" : "") + ": ";
        const Choice choice = i < choices.size() ? choices[i] : Choice{};
        switch (choice.how) {
            case Choice::How::kept:
                text += "kept";
                break;
            case Choice::How::dropped:
                text += "dropped";
                break;
            case Choice::How::head:
                text += "torn, the first " + std::to_string(choice.n) + " sectors are new";
                break;
            case Choice::How::tail:
                text += "torn, the first " + std::to_string(choice.n) + " sectors are old";
                break;
            case Choice::How::garbled:
                text += "physical block " + std::to_string(choice.n) + " of it garbled";
                break;
            case Choice::How::zeroed:
                text += "physical block " + std::to_string(choice.n) + " of it zeroed";
                break;
            case Choice::How::unreadable:
                text += "physical block " + std::to_string(choice.n) + " of it unreadable";
                break;
            case Choice::How::shred:
                text += "old, new and garbled sectors mixed";
                break;
        }
        text += "\n";
    }
    return text;
}

}  // namespace dmremap::test
