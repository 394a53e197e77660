// SPDX-License-Identifier: GPL-2.0-or-later
// Failing call sweep at the level of system calls, on real files: each pread, pwrite, fdatasync and
// fallocate of the workload in turn moves only a part, nothing, is interrupted, or fails.
//
// PROVES that a partial or interrupted transfer is gone on with and changes nothing at all, and
// that the end of the file and every errno reach the disk as errors that calls_test.cpp judges
// alike. DOES NOT PROVE anything about ioctls of block devices, nor about io_uring.
#include <gtest/gtest.h>

#include <cerrno>
#include <ostream>
#include <string>

#include "tests/sweeps/cases.h"
#include "tests/sweeps/file_machine.h"
#include "tests/sweeps/syscalls.h"
#include "tests/sweeps/watchdog.h"
#include "tests/sweeps/workload.h"

namespace dmremap::test {
namespace {

constexpr unsigned kUsualEvery = 16;

struct Way {
    const char* name;
    SyscallFault fault;
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

const Way kWays[] = {
    {"half", {SyscallFault::half, 0}},
    {"half_from_then_on", {SyscallFault::half, 0, 0, true}},
    {"odd", {SyscallFault::odd, 0}},
    {"odd_from_then_on", {SyscallFault::odd, 0, 0, true}},
    {"interrupted", {SyscallFault::interrupted, 0}},
    {"tiny", {SyscallFault::tiny, EIO}},
    {"tiny_from_then_on", {SyscallFault::tiny, EIO, 0, true}},
    {"end_of_file", {SyscallFault::nothing, EIO}},
    {"EIO", {SyscallFault::failing, EIO}},
    {"EIO_from_then_on", {SyscallFault::failing, EIO, 0, true}},
    {"ENOSPC", {SyscallFault::failing, ENOSPC}},
    {"ENOSPC_from_then_on", {SyscallFault::failing, ENOSPC, 0, true}},
    {"ENODEV", {SyscallFault::failing, ENODEV}},
    {"ENOMEM", {SyscallFault::failing, ENOMEM}},
};

class FailingSyscalls : public testing::TestWithParam<Way> {
protected:
    std::string run(const SyscallFault& fault) {
        machine_.reset();
        syscalls_.begin(fault);
        Workload workload(machine_, syscalls_,
                          [](std::unique_ptr<Device> inner, bool) { return inner; });
        return workload.run(fault.call);
    }

    FileMachine machine_;
    Syscalls syscalls_;
    Watchdog watchdog_;
    Cases cases_{kUsualEvery};
};

TEST_P(FailingSyscalls, InTurn) {
    SyscallFault fault = GetParam().fault;
    ASSERT_EQ(run(fault), "") << "nothing fails";
    const std::uint64_t calls = syscalls_.calls();
    for (fault.call = 1; fault.call <= calls; ++fault.call) {
        const std::string name =
            "system call " + std::to_string(fault.call) + " " + GetParam().name;
        if (!cases_.wanted(name)) continue;
        watchdog_.begin(name + Cases::recipe(name));
        ASSERT_EQ(run(fault), "") << name << Cases::recipe(name);
    }
    cases_.report(GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Ways, FailingSyscalls, testing::ValuesIn(kWays),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
