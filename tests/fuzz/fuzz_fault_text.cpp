// SPDX-License-Identifier: GPL-2.0-or-later
// Any text as a fault file (core/device/FAULTS.md).
//
// Proves: a text is refused with a sentence that a terminal can show, or understood, and then
// printing and parsing it again gives the same statements and the same text; the rules in force,
// printed, are rules that judge every call as the original ones do, also after some calls have
// counted. No number wraps.
// Does not prove: that a verdict is the right one (fault_plan_test, fault_device_test).
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device/fault_plan.h"
#include "core/device/fault_rules.h"
#include "core/device/fault_text.h"
#include "core/refusal.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/target.h"

namespace dmremap::fuzz {

namespace {

std::string printed(const std::vector<FaultStatement>& statements) {
    std::string text;
    for (const FaultStatement& statement : statements) text += fault_line(statement);
    return text;
}

// Calls about the places the statements name, of all kinds.
std::vector<FaultCall> calls_for(const std::vector<FaultStatement>& statements) {
    std::vector<FaultCall> calls = {{.op = Op::flush}};
    for (const FaultStatement& s : statements) {
        if (calls.size() > 64) break;
        const std::uint64_t first = std::min(s.first, kFaultSectors - 16) / 8 * 8;
        calls.push_back({.op = Op::read, .first = first, .end = first + 8});
        calls.push_back({.op = Op::write, .first = first, .end = first + 16, .unit = 8});
        calls.push_back({.op = Op::zero, .first = first + 3, .end = first + 4});
        calls.push_back({.op = Op::discard, .first = first, .end = first + 1});
    }
    return calls;
}

bool same(const FaultVerdict& a, const FaultVerdict& b) {
    return a.error == b.error && a.delay_ms == b.delay_ms && a.written == b.written &&
           a.garble == b.garble;
}

void check_plan(const std::string& text, const std::vector<FaultStatement>& statements) {
    const auto plan = FaultPlan::parse(text);
    const auto copy = FaultPlan::parse(plan->describe());
    check(copy->describe() == plan->describe(), "a plan printed and parsed is another plan");
    for (int round = 0; round < 3; round++) {
        for (const FaultCall& call : calls_for(statements)) {
            for (const FaultRole role : {FaultRole::main, FaultRole::spare}) {
                const FaultVerdict verdict = plan->judge(role, call);
                check(same(verdict, copy->judge(role, call)), "two equal plans judge otherwise");
                check(verdict.written <= call.end - call.first, "more is written than asked for");
                check(verdict.error != 0 || (verdict.written == 0 && !verdict.garble),
                      "a call that works is torn");
            }
        }
        check(copy->describe() == plan->describe(), "two equal plans count otherwise");
    }
}

}  // namespace

void one_input(Input& input) {
    const std::string text = input.rest();
    std::vector<FaultStatement> statements;
    try {
        statements = parse_fault_text(text, "FILE");
    } catch (const Refusal& refusal) {
        const std::string sentence = refusal.what();
        check(refusal.kind() == RefusalKind::usage && sentence.rfind("FILE, line ", 0) == 0,
              "not a refusal of a line");
        check(std::all_of(sentence.begin(), sentence.end(),
                          [](char c) { return c >= ' ' && c <= '~'; }),
              "a refusal that a terminal would obey");
        return;
    }
    const std::string again = printed(statements);
    const std::vector<FaultStatement> parsed = parse_fault_text(again, "FILE");
    check(parsed == statements, "printed and parsed again it is something else: " + again);
    check(printed(parsed) == again, "printing is no fixed point: " + again);
    check_plan(text, statements);
}

}  // namespace dmremap::fuzz
