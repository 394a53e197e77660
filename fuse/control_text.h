// SPDX-License-Identifier: GPL-2.0-or-later
// What the longer control files say, as text. Each ends with a newline, or is empty.
#pragma once

#include <string>

#include "core/disk.h"

namespace dmremap {

// "name: text", a line for each active cause; empty when healthy.
std::string reasons_text(const DiskStatus& status);

// "name value" lines. Names are stable; times in ns, sizes in bytes.
std::string stats_text(const DiskStatus& status);

// A header that begins with '#', then "sector slot spare_sector reason time lost retry" for each
// remap in order of sectors. lost and retry are bit masks in hex: bit i is sector + i.
std::string remaps_text(const Disk& disk);

}  // namespace dmremap
