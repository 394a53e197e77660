// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/surface.h"

#include <bit>

#include "core/format.h"

namespace dmremap {

namespace {

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

}  // namespace

Surface::Surface(std::uint64_t disk_sectors, std::uint64_t cells, std::uint64_t scanned_sectors) {
    const std::uint64_t blocks = divide_up(disk_sectors, DMR_SECTORS_PER_BLOCK);
    cell_sectors_ = std::max<std::uint64_t>(divide_up(blocks, cells), 1) * DMR_SECTORS_PER_BLOCK;
    cells_.resize(divide_up(disk_sectors, cell_sectors_));
    for (std::size_t i = 0; i < cells_.size(); i++)
        cells_[i].scanned = std::min((i + 1) * cell_sectors_, disk_sectors) <= scanned_sectors;
}

void Surface::add(std::uint64_t sector, std::uint8_t lost_mask) {
    const std::uint64_t cell = sector / cell_sectors_;
    if (cell >= cells_.size()) return;
    cells_[cell].remapped++;
    cells_[cell].lost += static_cast<unsigned>(std::popcount(lost_mask));
}

void Surface::add_weak(std::uint64_t sector) {
    if (sector / cell_sectors_ < cells_.size()) cells_[sector / cell_sectors_].weak++;
}

char surface_glyph(const SurfaceCell& cell) {
    if (cell.lost != 0) return kGlyphLost;
    if (cell.remapped != 0) return kGlyphRemapped;
    if (cell.weak != 0) return kGlyphWeak;
    return cell.scanned ? kGlyphClean : kGlyphUnscanned;
}

std::string surface_text(const Surface& surface, std::uint64_t width) {
    const auto& cells = surface.cells();
    std::string text = "# a cell is " + std::to_string(surface.cell_sectors()) + " sectors: ";
    text += std::string(1, kGlyphClean) + " clean, " + kGlyphUnscanned + " not scanned, " +
            kGlyphWeak + " weak, " + kGlyphRemapped + " remapped, " + kGlyphLost + " lost\n";
    const std::string last = std::to_string(cells.size() * surface.cell_sectors());
    for (std::size_t i = 0; i < cells.size(); i++) {
        if (i % width == 0) {
            const std::string sector = std::to_string(i * surface.cell_sectors());
            text += (i == 0 ? "" : "\n") + std::string(last.size() - sector.size(), ' ') + sector;
            text += ' ';
        }
        text += surface_glyph(cells[i]);
    }
    return text + "\n";
}

}  // namespace dmremap
