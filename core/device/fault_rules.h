// SPDX-License-Identifier: GPL-2.0-or-later
// The fault rules of one device, and what they make of each call to it.
//
// Not thread-safe: the plan that owns the rules holds its mutex. Sectors are kept as maps of
// intervals, so a million bad ones cost a search of twenty steps.
#pragma once

#include <boost/icl/interval_map.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/device/fault_text.h"

namespace dmremap {

// A call as the rules see it. The range is not empty but for a flush.
struct FaultCall {
    Op op = Op::read;
    std::uint64_t first = 0, end = 0;  // sectors
    std::uint64_t unit = 1;            // sectors in a logical block of the device
};

// What becomes of it.
struct FaultVerdict {
    int error = 0;               // 0: the device does the call as usual
    std::uint32_t delay_ms = 0;  // before anything else
    // Of a write that fails, in whole logical blocks:
    std::uint64_t written = 0;  // sectors from its start that are written all the same
    bool garble = false;        // the logical block after these becomes garbage
};

class FaultRules {
public:
    void apply(const FaultStatement& statement);  // whoever it is about
    FaultVerdict judge(const FaultCall& call);    // counts, and heals what is written
    bool empty() const;

    // Appends the statements that would make these rules from none. `mine` has the device set.
    void describe(const FaultStatement& mine, std::string& text) const;

private:
    template <class Value>
    using SectorMap =
        boost::icl::interval_map<std::uint64_t, Value, boost::icl::partial_absorber, std::less,
                                 boost::icl::inplace_plus, boost::icl::inter_section,
                                 boost::icl::right_open_interval<std::uint64_t>>;
    using Interval = boost::icl::right_open_interval<std::uint64_t>;

    // The default one stands for "not bad", as the map wants it.
    struct BadSector {
        FaultOptions options{.error = 0};
        bool operator==(const BadSector&) const = default;
        BadSector& operator+=(const BadSector& other) { return *this = other; }
    };

    // Calls of the kinds that fail, counted down as they come.
    struct CallRule {
        bool reads, writes, flushes;
        std::uint64_t passing;  // that still work
        std::uint64_t failing;  // that fail after these; 0: all
        FaultOptions options;
    };

    std::uint32_t delay(const FaultCall& call, bool writing) const;
    std::optional<FaultOptions> failing_call(const FaultCall& call, bool writing);
    void judge_sectors(const FaultCall& call, SectorMap<BadSector>& bad, FaultVerdict& verdict);
    void heal_written(std::uint64_t first, std::uint64_t end);

    SectorMap<BadSector> bad_reads_, bad_writes_;
    SectorMap<std::uint32_t> slow_reads_, slow_writes_;
    std::vector<CallRule> calls_;
    std::optional<std::uint64_t> vanishing_;  // after so many calls; 0: it is gone
};

}  // namespace dmremap
