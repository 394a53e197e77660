// SPDX-License-Identifier: GPL-2.0-or-later
// The surface of a disk cut into cells of equal size, and what is known of each: for maps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace dmremap {

struct SurfaceCell {
    std::uint64_t remapped = 0;  // blocks
    std::uint64_t lost = 0;      // sectors
    std::uint64_t weak = 0;      // blocks
    bool scanned = false;        // whole
};

class Surface {
public:
    // At most `cells` of them, each of whole blocks and of the same size but the last.
    Surface(std::uint64_t disk_sectors, std::uint64_t cells, std::uint64_t scanned_sectors);

    void add(std::uint64_t sector, std::uint8_t lost_mask);  // a remap
    void add_weak(std::uint64_t sector);                     // a block

    std::uint64_t cell_sectors() const { return cell_sectors_; }
    const std::vector<SurfaceCell>& cells() const { return cells_; }

private:
    std::uint64_t cell_sectors_;
    std::vector<SurfaceCell> cells_;
};

// One character for what is worst in a cell.
constexpr char kGlyphLost = 'X', kGlyphRemapped = 'o', kGlyphWeak = 'w', kGlyphClean = '.',
               kGlyphUnscanned = '-';
char surface_glyph(const SurfaceCell& cell);

// Rows of `width` cells, each after the sector it begins at, under a legend; at most 16 rows.
constexpr std::uint64_t kMapRows = 16;
std::string surface_text(const Surface& surface, std::uint64_t width);

}  // namespace dmremap
