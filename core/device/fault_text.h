// SPDX-License-Identifier: GPL-2.0-or-later
// The text that drives a fault device, as statements: parsed and written here, carried out by the
// rules (fault_rules.h). The grammar and its meaning are in FAULTS.md.
//
// Pure functions; any thread. The parser throws Refusal(usage), the writer never fails.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dmremap {

// Sector numbers end here: byte offsets have to fit a signed 64-bit number.
constexpr std::uint64_t kFaultSectors = std::uint64_t{1} << 54;
constexpr std::uint64_t kFaultCalls = std::uint64_t{1} << 62;  // call numbers and counts end here
constexpr std::uint32_t kFaultDelayMs = 600'000;               // longest delay

struct FaultOptions {
    int error = EIO;
    std::uint64_t times = 0;  // calls each sector fails before it is good; 0: always
    bool heals = false;       // a read-bad sector becomes good when it is written
    bool garble = false;      // the block at which a write stops holds garbage
    std::optional<std::uint64_t>
        torn{};  // sectors of a failing write that are written all the same

    bool operator==(const FaultOptions&) const = default;
};

enum class FaultVerb : std::uint8_t { bad, slow, fail, vanish, come_back, heal, clear };

struct FaultStatement {
    FaultVerb verb = FaultVerb::clear;
    bool main = false, spare = false;                     // whom it is about
    bool reads = false, writes = false, flushes = false;  // bad, slow, fail

    // bad, slow, heal: sectors. fail: the first call that fails, counted from 1, and how many; 0
    // is for ever. vanish: first is the number of calls that still work.
    std::uint64_t first = 0, count = 0;
    std::uint32_t delay_ms = 0;  // slow
    FaultOptions options;        // bad, fail

    bool operator==(const FaultStatement&) const = default;
};

// `source` names the text in the refusal: "FAULTS.txt" gives "FAULTS.txt, line 3: ...".
std::vector<FaultStatement> parse_fault_text(std::string_view text, const std::string& source);

// The statement as a line, with its newline; parsing it gives the statement again.
std::string fault_line(const FaultStatement& statement);

}  // namespace dmremap
