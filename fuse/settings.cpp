// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuse/settings.h"

#include <utility>

namespace dmremap {

Settings::Settings(Disk& disk, bool demo, std::function<void(std::uint32_t)> set_debug)
    : parameters_(disk) {
    parameters_.add({"dm_remap_debug", false, 0, 3,
                     "what is logged: 0 as mounted, 1 all of note, 2 debugging, 3 everything",
                     [this] { return debug_.load(); },
                     [this, set_debug = std::move(set_debug)](std::uint32_t value) {
                         debug_ = value;
                         if (set_debug) set_debug(value);
                         return 0;
                     }});
    parameters_.add({"real_device_mode", true, 0, 1, "N: the devices are memory (demo)",
                     [demo] { return demo ? 0u : 1u; }});
    parameters_.add({"map_width", false, 8, 1024, "cells in a row of control/map",
                     [this] { return map_width_.load(); },
                     [this](std::uint32_t value) {
                         map_width_ = value;
                         return 0;
                     }});
}

}  // namespace dmremap
