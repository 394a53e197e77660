// SPDX-License-Identifier: GPL-2.0-or-later
// The parameters of an open disk with those that this front end adds, which last as long as the
// mount: dm_remap_debug, real_device_mode (shown), map_width.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "core/command/parameter_table.h"

namespace dmremap {

class Settings {
public:
    // `set_debug` is called with every value that dm_remap_debug takes; may be empty.
    Settings(Disk& disk, bool demo, std::function<void(std::uint32_t)> set_debug);
    Settings(const Settings&) = delete;
    Settings& operator=(const Settings&) = delete;

    const ParameterTable& parameters() const { return parameters_; }
    std::uint32_t map_width() const { return map_width_; }

private:
    ParameterTable parameters_;
    std::atomic<std::uint32_t> debug_{0};
    std::atomic<std::uint32_t> map_width_{64};
};

}  // namespace dmremap
