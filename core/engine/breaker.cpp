// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/breaker.h"

#include <algorithm>
#include <cstring>

#include "core/device/error_class.h"
#include "core/device/patience.h"

namespace dmremap {

namespace {

constexpr std::uint64_t kPlacesToTry = 16;

Op direction_op(unsigned direction) { return direction == 0 ? Op::read : Op::write; }

}  // namespace

Breaker::Breaker(Device& main, const RemapMap& map, Counters& counters, StateBoard& board,
                 std::uint32_t regions)
    : main_(main), map_(map), counters_(counters), board_(board), regions_(regions) {
    known_good_.reserve(kKnownGood);
}

Breaker::Answer Breaker::ask(std::uint64_t offset) {
    std::byte data[DMR_BLOCK_SIZE];
    switch (classify(patiently([&] { return main_.read(offset, data, sizeof(data)); }))) {
        case ErrorClass::none:
            return Answer::good;
        case ErrorClass::medium:
            return Answer::bad;
        case ErrorClass::gone:
            return Answer::gone;
        default:
            return Answer::none;
    }
}

void Breaker::learn() { look_for_good(); }

// Learns until a few are known, or until there is no answer. Good when any is known then.
Breaker::Answer Breaker::look_for_good() {
    const std::uint64_t blocks = main_.info().size / DMR_BLOCK_SIZE;
    for (std::uint64_t i = 0; i < kPlacesToTry && known_good_.size() < kKnownGood; i++) {
        // 7 and 16 have no common divisor: each place once, neighbours far apart.
        const std::uint64_t block = (i * 7 % kPlacesToTry) * blocks / kPlacesToTry;
        const std::uint64_t offset = block * DMR_BLOCK_SIZE;
        if (block >= blocks || map_.find(block) != nullptr ||
            std::find(known_good_.begin(), known_good_.end(), offset) != known_good_.end()) {
            continue;
        }
        const Answer answer = ask(offset);
        if (answer == Answer::gone || answer == Answer::none) {
            return known_good_.empty() ? answer : Answer::good;
        }
        if (answer == Answer::good) {
            known_good_.push_back(offset);
            knew_some_ = true;
        }
    }
    return known_good_.empty() ? Answer::bad : Answer::good;
}

Breaker::Answer Breaker::probe() {
    while (!known_good_.empty()) {
        const Answer answer = ask(known_good_.back());
        if (answer != Answer::bad) {
            return answer;
        }
        known_good_.pop_back();  // perhaps only this one has gone bad
    }
    const bool knew_some = knew_some_;
    const Answer answer = look_for_good();
    // Where no good block was ever seen, the other rules must do.
    return answer == Answer::bad && !knew_some ? Answer::good : answer;
}

template <typename... Why>
void Breaker::trip(const Why&... why) {
    if (!tripped_) {
        tripped_ = true;
        successes_ = successes();
        board_.report(EventKind::breaker_tripped, 0, 0, why...);
    }
    board_.raise(State::failed, "breaker", why..., "; nothing is moved until main answers again");
}

std::uint64_t Breaker::successes() const {
    return counters_.main_successes(Op::read) + counters_.main_successes(Op::write);
}

bool Breaker::allows(Op op, std::uint64_t offset) {
    const unsigned direction = op == Op::read ? 0 : 1;
    Direction& d = directions_[direction];
    try_reset();
    const std::uint64_t successes = counters_.main_successes(direction_op(direction));
    if (successes != d.successes) {
        d.failed_regions.clear();
        d.successes = successes;
    }
    d.failed_regions.insert(offset >> kRegionShift);
    if (!tripped_ && regions_ != 0 && d.failed_regions.size() >= regions_) {
        d.tripped = true;
        trip(main_.info().name, ": ", op_name(direction_op(direction)), " failed in ",
             d.failed_regions.size(), " regions and nowhere succeeded");
    }
    const Answer answer = tripped_ ? Answer::none : probe();
    if (answer == Answer::bad || answer == Answer::gone) {
        trip(main_.info().name, ": blocks known to be good cannot be read");
    }
    return !tripped_;
}

void Breaker::device_gone(int error) {
    if (!board_.active("device_gone")) {
        board_.report(EventKind::device_gone, 0, 0, main_.info().name, ": ", std::strerror(error));
    }
    board_.raise(State::failed, "device_gone", main_.info().name,
                 " does not answer: ", std::strerror(error));
    trip(main_.info().name, " is gone");
}

void Breaker::try_reset() {
    if (!tripped_ || successes() == successes_) {
        return;
    }
    for (unsigned i = 0; i < directions_.size(); i++) {
        Direction& d = directions_[i];
        if (d.tripped && counters_.main_successes(direction_op(i)) == d.successes) {
            return;
        }
    }
    if (probe() != Answer::good) {
        successes_ = successes();
        return;
    }
    for (Direction& d : directions_) {
        d.tripped = false;
        d.failed_regions.clear();
    }
    tripped_ = false;
    board_.clear("device_gone");
    board_.clear("breaker");
    board_.report(EventKind::breaker_reset);
}

}  // namespace dmremap
