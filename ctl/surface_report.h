// SPDX-License-Identifier: GPL-2.0-or-later
// The surface of a disk that is up, as text for a terminal and as a drawing.
#pragma once

#include <cstdint>
#include <string>

#include "core/surface.h"
#include "ctl/control.h"

namespace dmremap::ctl {

struct SurfaceReport {
    std::uint64_t sectors = 0;  // of the disk
    std::uint64_t scanned_sectors = 0;
    std::uint64_t remapped_blocks = 0, lost_sectors = 0, weak_blocks = 0;
    Surface surface;
};

// Reads control/remaps line by line: any number, in the memory of `cells`.
SurfaceReport read_surface(const Control& control, std::uint64_t cells);

// With colours: remapped yellow, lost red, weak blue, unscanned faint.
std::string coloured_map(const std::string& map);

// A self-contained SVG: the cells in rows, a legend with the shares, and the densest places.
std::string surface_svg(const SurfaceReport& report, const std::string& title);
constexpr std::uint64_t kSvgColumns = 128, kSvgRows = 64;

}  // namespace dmremap::ctl
