// SPDX-License-Identifier: GPL-2.0-or-later
// Which calls fail, and how: the rules behind a pair's fault devices. Grammar and meaning:
// FAULTS.md.
//
// One plan serves main and spare and may be changed while they run. Any thread; every call takes
// the plan's mutex but only when the device has rules at all.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/device/fault_text.h"

namespace dmremap {

struct FaultCall;     // fault_rules.h
struct FaultVerdict;  // fault_rules.h
class FaultRules;     // fault_rules.h

enum class FaultRole : std::uint8_t { main, spare };

class FaultPlan {
public:
    // Parses a whole text; throws Refusal(usage) naming the line and what was expected.
    static std::shared_ptr<FaultPlan> parse(const std::string& text);
    // The same from a file; also throws Refusal(not_found) or (system) when it cannot be read.
    static std::shared_ptr<FaultPlan> load(const std::string& path);

    FaultPlan();  // no rules
    ~FaultPlan();

    // Applies further lines (as control/inject does), all or none; throws Refusal(usage).
    // Lines that take rules back ("clear", "clear main", "heal main 2048+8") are understood too.
    void apply(const std::string& text);

    // The rules in force, in the grammar of the file, with what is left of their counts.
    std::string describe() const;

    // The same for tests in C++. Sectors are 512 bytes; the arguments are in the grammar's ranges.
    void fail_reads(FaultRole role, std::uint64_t sector, std::uint64_t count,
                    const FaultOptions& options = {});
    void fail_writes(FaultRole role, std::uint64_t sector, std::uint64_t count,
                     const FaultOptions& options = {});
    void slow(FaultRole role, std::uint64_t sector, std::uint64_t count, std::uint32_t delay_ms);
    void heal(FaultRole role, std::uint64_t sector, std::uint64_t count);
    // The call-th read, write (or zero), flush from now, and the count - 1 after it; 0: all.
    void fail_call(FaultRole role, Op op, std::uint64_t call, std::uint64_t count = 1,
                   const FaultOptions& options = {});
    // The same, whatever kind of call it is (a discard is none).
    void fail_any_call(FaultRole role, std::uint64_t call, std::uint64_t count = 1,
                       const FaultOptions& options = {});
    void vanish(FaultRole role, std::uint64_t after_calls = 0);
    void come_back(FaultRole role);
    void clear(FaultRole role);

    // Calls of this kind to the role's device since the plan was made, failed ones included.
    std::uint64_t calls(FaultRole role, Op op) const;
    // Those that fail_any_call() counts: all but discards.
    std::uint64_t any_calls(FaultRole role) const;

    // For the fault device: counts the call and says what becomes of it.
    void count(FaultRole role, Op op);
    bool has_rules(FaultRole role) const;
    FaultVerdict judge(FaultRole role, const FaultCall& call);

private:
    static constexpr unsigned kRoles = 2;
    static constexpr unsigned kKinds = 5;  // values of Op

    // On cache lines of its own: main and spare do not disturb each other.
    struct alignas(64) Counters {
        std::atomic<bool> has_rules{false};
        std::array<std::atomic<std::uint64_t>, kKinds> calls{};
    };

    static FaultStatement statement(FaultRole role, FaultVerb verb);
    void carry_out(const std::vector<FaultStatement>& statements);

    std::array<Counters, kRoles> counters_;
    mutable std::mutex mutex_;  // guards what the rules hold
    std::array<std::unique_ptr<FaultRules>, kRoles> rules_;
};

}  // namespace dmremap
