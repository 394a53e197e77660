// SPDX-License-Identifier: GPL-2.0-or-later
// The state of a disk: the worst of its active causes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dmremap {

enum class State : std::uint8_t { healthy, degraded, read_only, failed };

const char* state_name(State state);

// Why a disk is not healthy. The name is a stable word, a literal; the text says it to people, and
// is empty where there was no memory for it.
struct Cause {
    State state;
    std::string_view name;  // lost_sectors spare_low spare_full spare_fs_full retired_pages breaker
                            // flush_failed commit_failed device_gone opened_read_only rescue ...
    std::string text;
};

}  // namespace dmremap
