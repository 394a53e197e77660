// SPDX-License-Identifier: GPL-2.0-or-later
// A small history on a disk, run over and over with the power going off at each of its calls in
// turn, and what must hold after each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>

#include "tests/support/test_pair.h"

namespace dmremap::test {

// What a history did to which sectors, as far as it was told.
struct Ledger {
    // Version of each sector that is known to be durable (acknowledged, and a flush after it), and
    // the versions written since, acknowledged or not: any of these may be found.
    std::map<std::uint64_t, std::uint32_t> durable;
    std::map<std::uint64_t, std::set<std::uint32_t>> open;
    std::set<std::uint64_t> unreadable;  // may be EIO: bad on main and not written since

    void writing(std::uint64_t sector, std::uint64_t count, std::uint32_t version);
    void flushed();
};

// A pair with a volatile cache, main filled with version 1, formatted, with bad spots.
std::unique_ptr<TestPair> bad_pair(const Shape& shape = {});

// Writes, reads and flushes over the bad spots of bad_pair(). Stops at the first error; true when
// it came to its end.
bool history(TestPair& pair, Ledger& ledger);

// Every sector the history touched reads as one of its versions, or fails where it may.
void expect_ledger(TestPair& pair, const Ledger& ledger);

}  // namespace dmremap::test
