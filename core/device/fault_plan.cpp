// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/device/fault_plan.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "core/device/fault_rules.h"
#include "core/refusal.h"

namespace dmremap {

namespace {

unsigned index(FaultRole role) { return static_cast<unsigned>(role); }

// A text for a million bad sectors has 30 MB; what is larger is no plan but a mistake.
constexpr std::size_t kLargestFile = 256 << 20;

std::string read_file(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        throw Refusal(RefusalKind::usage,
                      path + " is a directory; give a text file with fault rules");
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw Refusal(errno == ENOENT ? RefusalKind::not_found : RefusalKind::system,
                      path + " cannot be opened for its fault rules: " +
                          std::generic_category().message(errno));
    std::string text;
    std::array<char, 65536> part;
    while (file.read(part.data(), part.size()) || file.gcount() > 0) {
        text.append(part.data(), static_cast<std::size_t>(file.gcount()));
        if (text.size() > kLargestFile)
            throw Refusal(RefusalKind::usage,
                          path + " has more than 256 MiB; give a text file with fault rules");
    }
    if (file.bad())
        throw Refusal(RefusalKind::system, path + " cannot be read for its fault rules: " +
                                               std::generic_category().message(errno));
    return text;
}

}  // namespace

FaultPlan::FaultPlan() {
    for (auto& rules : rules_) rules = std::make_unique<FaultRules>();
}

FaultPlan::~FaultPlan() = default;

std::shared_ptr<FaultPlan> FaultPlan::parse(const std::string& text) {
    auto plan = std::make_shared<FaultPlan>();
    plan->apply(text);
    return plan;
}

std::shared_ptr<FaultPlan> FaultPlan::load(const std::string& path) {
    auto plan = std::make_shared<FaultPlan>();
    plan->carry_out(parse_fault_text(read_file(path), path));
    return plan;
}

void FaultPlan::apply(const std::string& text) { carry_out(parse_fault_text(text, "Fault rules")); }

void FaultPlan::carry_out(const std::vector<FaultStatement>& statements) {
    const std::lock_guard lock(mutex_);
    for (const FaultStatement& s : statements) {
        if (s.main) rules_[index(FaultRole::main)]->apply(s);
        if (s.spare) rules_[index(FaultRole::spare)]->apply(s);
    }
    for (unsigned role = 0; role < kRoles; ++role)
        counters_[role].has_rules.store(!rules_[role]->empty(), std::memory_order_release);
}

std::string FaultPlan::describe() const {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const FaultRole role : {FaultRole::main, FaultRole::spare})
        rules_[index(role)]->describe(statement(role, FaultVerb::clear), text);
    return text;
}

FaultStatement FaultPlan::statement(FaultRole role, FaultVerb verb) {
    FaultStatement s;
    s.verb = verb;
    s.main = role == FaultRole::main;
    s.spare = role == FaultRole::spare;
    return s;
}

void FaultPlan::fail_reads(FaultRole role, std::uint64_t sector, std::uint64_t count,
                           const FaultOptions& options) {
    FaultStatement s = statement(role, FaultVerb::bad);
    s.reads = true;
    s.first = sector;
    s.count = count;
    s.options = options;
    carry_out({s});
}

void FaultPlan::fail_writes(FaultRole role, std::uint64_t sector, std::uint64_t count,
                            const FaultOptions& options) {
    FaultStatement s = statement(role, FaultVerb::bad);
    s.writes = true;
    s.first = sector;
    s.count = count;
    s.options = options;
    carry_out({s});
}

void FaultPlan::slow(FaultRole role, std::uint64_t sector, std::uint64_t count,
                     std::uint32_t delay_ms) {
    FaultStatement s = statement(role, FaultVerb::slow);
    s.reads = s.writes = true;
    s.first = sector;
    s.count = count;
    s.delay_ms = delay_ms;
    carry_out({s});
}

void FaultPlan::heal(FaultRole role, std::uint64_t sector, std::uint64_t count) {
    FaultStatement s = statement(role, FaultVerb::heal);
    s.first = sector;
    s.count = count;
    carry_out({s});
}

void FaultPlan::fail_call(FaultRole role, Op op, std::uint64_t call, std::uint64_t count,
                          const FaultOptions& options) {
    FaultStatement s = statement(role, FaultVerb::fail);
    s.reads = op == Op::read;
    s.writes = op == Op::write || op == Op::zero;
    s.flushes = op == Op::flush;
    s.first = call;
    s.count = count;
    s.options = options;
    carry_out({s});
}

void FaultPlan::fail_any_call(FaultRole role, std::uint64_t call, std::uint64_t count,
                              const FaultOptions& options) {
    FaultStatement s = statement(role, FaultVerb::fail);
    s.reads = s.writes = s.flushes = true;
    s.first = call;
    s.count = count;
    s.options = options;
    carry_out({s});
}

void FaultPlan::vanish(FaultRole role, std::uint64_t after_calls) {
    FaultStatement s = statement(role, FaultVerb::vanish);
    s.first = after_calls;
    carry_out({s});
}

void FaultPlan::come_back(FaultRole role) { carry_out({statement(role, FaultVerb::come_back)}); }

void FaultPlan::clear(FaultRole role) { carry_out({statement(role, FaultVerb::clear)}); }

std::uint64_t FaultPlan::calls(FaultRole role, Op op) const {
    return counters_[index(role)].calls[static_cast<unsigned>(op)].load(std::memory_order_relaxed);
}

std::uint64_t FaultPlan::any_calls(FaultRole role) const {
    return calls(role, Op::read) + calls(role, Op::write) + calls(role, Op::zero) +
           calls(role, Op::flush);
}

void FaultPlan::count(FaultRole role, Op op) {
    counters_[index(role)].calls[static_cast<unsigned>(op)].fetch_add(1, std::memory_order_relaxed);
}

bool FaultPlan::has_rules(FaultRole role) const {
    return counters_[index(role)].has_rules.load(std::memory_order_acquire);
}

FaultVerdict FaultPlan::judge(FaultRole role, const FaultCall& call) {
    const std::lock_guard lock(mutex_);
    FaultRules& rules = *rules_[index(role)];
    const FaultVerdict verdict = rules.judge(call);
    counters_[index(role)].has_rules.store(!rules.empty(), std::memory_order_release);
    return verdict;
}

}  // namespace dmremap
