// SPDX-License-Identifier: GPL-2.0-or-later
// The machine of a workload on real files, through the core's file devices.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sweeps/machine.h"
#include "tests/unit/scratch.h"

namespace dmremap::test {

class FileMachine final : public Machine {
public:
    FileMachine();
    std::unique_ptr<Device> main() override;
    std::unique_ptr<Device> spare() override;
    void reset() override;
    // Files keep what they have: only the process is gone.
    void power_off() override;
    void power_on(std::mt19937_64* chance) override;

private:
    ScratchDir scratch_;
    const std::string main_path_, spare_path_;
    std::vector<std::byte> main_base_, spare_base_;
};

}  // namespace dmremap::test
