// SPDX-License-Identifier: GPL-2.0-or-later
// Failing call sweep: each call that the workload makes to main, to the spare, or to either fails
// in turn, once or from then on, with each kind of error.
//
// PROVES that no call's failure leads to a hang, to wrong data, to the loss of what was flushed, to
// an error without a reason, to the loss of blocks, slots or sectors that are good, or to a state
// that does not say what happened (see workload.h).
// DOES NOT PROVE anything about other orders of calls than those the healer's thread happens to
// make, nor about two independent failures; the property tests draw those by chance.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
#include <ostream>
#include <string>

#include "tests/sweeps/cases.h"
#include "tests/sweeps/injector.h"
#include "tests/sweeps/machine.h"
#include "tests/sweeps/watchdog.h"
#include "tests/sweeps/workload.h"

namespace dmremap::test {
namespace {

struct Way {
    const char* name;
    int error;
    bool goes_on;
    bool torn = false;
    std::optional<Op> only{};
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

const Way kWays[] = {
    {"EIO_once", EIO, false},
    {"EIO_from_then_on", EIO, true},
    {"ENOSPC_once", ENOSPC, false},
    {"ENOSPC_from_then_on", ENOSPC, true},
    {"ENODEV_once", ENODEV, false},
    {"ENODEV_from_then_on", ENODEV, true},
    {"ENOMEM_once", ENOMEM, false},
    {"ENOMEM_from_then_on", ENOMEM, true},
    {"torn_once", EIO, false, true},
    {"reads_from_then_on", EIO, true, false, Op::read},
    {"writes_from_then_on", EIO, true, false, Op::write},
    {"torn_writes_from_then_on", EIO, true, true, Op::write},
    {"flushes_from_then_on", EIO, true, false, Op::flush},
};

constexpr unsigned kUsualEvery = 8;

class FailingCalls : public testing::TestWithParam<Way> {
protected:
    // Fails the call; "" or what was wrong.
    std::string fail(const Injection& injection) {
        machine_.reset();
        injector_.begin(injection);
        Workload workload(machine_, injector_, [this](std::unique_ptr<Device> inner, bool main) {
            return injector_.wrap(std::move(inner), main ? Injection::main : Injection::spare);
        });
        std::string problem = workload.run(injection.call);
        if (problem.empty()) problem = told(injection, workload);
        return problem;
    }

    // What the user was told of it by events.
    std::string told(const Injection& injection, const Workload& workload) const {
        const auto saw = [&](EventKind kind) {
            for (const Event& event : workload.events())
                if (event.kind == kind) return true;
            return false;
        };
        if (injector_.flush_hits() != 0 && !saw(EventKind::flush_failed))
            return "a flush failed and no event tells of it";
        if (workload.failed_with(ENOSPC) && !saw(EventKind::spare_fs_full) &&
            injection.error == ENOSPC && injection.on == Injection::spare)
            return "no room under the spare and no event tells of it";
        if (workload.failed_with(ENODEV) && !saw(EventKind::device_gone))
            return "a device is gone and no event tells of it";
        return "";
    }

    MemoryMachine machine_;
    Injector injector_;
    Watchdog watchdog_;
};

TEST_P(FailingCalls, OfMainOrSpareOrBoth) {
    const Way& way = GetParam();
    Cases cases(kUsualEvery);
    for (const Injection::On on : {Injection::main, Injection::spare, Injection::both}) {
        if (on == Injection::both && !way.goes_on) continue;  // the same as main and spare
        Injection injection{on, 0, way.goes_on, way.error, way.torn, way.only};
        ASSERT_EQ(fail(injection), "") << "nothing fails";
        const std::uint64_t calls = injector_.calls();
        for (injection.call = 1; injection.call <= calls; ++injection.call) {
            const std::string name = injection.name();
            if (!cases.wanted(name)) continue;
            watchdog_.begin(name + Cases::recipe(name));
            ASSERT_EQ(fail(injection), "") << name << Cases::recipe(name);
        }
    }
    cases.report(way.name);
}

INSTANTIATE_TEST_SUITE_P(Ways, FailingCalls, testing::ValuesIn(kWays),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
