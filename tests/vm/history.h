// SPDX-License-Identifier: GPL-2.0-or-later
// What every sector of the guest's disk may hold after a power cut, as far as its user could know.
//
// A sector's versions are those of tests/vm/guest/notes.h, 0 is what was there before the first
// write. The oldest that may be found is the newest that was acknowledged before a flush was asked
// for that was acknowledged, too; any that was asked for since may be found instead (P1, P2).
//
// Places are places on the tape and only grow. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/vm/guest/notes.h"

namespace dmremap::test {

class History {
public:
    explicit History(std::uint64_t sectors) : versions_(sectors), bad_since_(sectors, kNever) {}

    void take(const Note& note, std::uint64_t place);
    // Main cannot be read here from now on. What lay there only is lost, until it is written.
    void bad(std::uint64_t first, std::uint64_t count, std::uint64_t place);

    // "" or what is wrong with these bytes; null for EIO.
    std::string judge(std::uint64_t sector, const void* bytes) const;

    std::uint64_t sectors() const { return versions_.size(); }
    std::uint64_t flushes() const { return flushes_; }

private:
    static constexpr std::uint64_t kNever = ~std::uint64_t{0};
    struct Version {
        std::uint32_t number;
        std::uint64_t asked, done = kNever;
    };
    std::string allowed(std::uint64_t sector) const;

    std::vector<std::vector<Version>> versions_;  // none: 0
    std::vector<std::uint64_t> bad_since_;
    std::map<std::uint64_t, std::uint64_t> asked_;  // flushes that are under way
    std::uint64_t flushes_ = 0;
};

}  // namespace dmremap::test
