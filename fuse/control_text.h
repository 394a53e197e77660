// SPDX-License-Identifier: GPL-2.0-or-later
// What the longer control files say, as text. Each ends with a newline, or is empty.
#pragma once

#include <string>

#include "core/disk.h"

namespace dmremap {

// "name: text", a line for each active cause; empty when healthy.
std::string reasons_text(const DiskStatus& status);

// One JSON object: uuid, state, then the numbers of `stats` under the same names.
std::string stats_json(const DiskStatus& status);

// The text format of Prometheus, with labels uuid and name (the label of the pair, else main).
std::string metrics_text(const DiskStatus& status, bool demo);

// A line for each weak block: its sector, and the ns that a read of it took (0: it is only read
// when it is tried again).
std::string weak_text(const Disk& disk);

// The surface in text, `width` cells a row.
std::string map_text(const Disk& disk, std::uint32_t width);

}  // namespace dmremap
