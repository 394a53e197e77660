// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/surface_report.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <sstream>
#include <tuple>

#include "core/format.h"
#include "ctl/text.h"

namespace dmremap::ctl {

namespace {

constexpr unsigned kCell = 8, kMargin = 16, kTop = 48;  // pixels
constexpr std::size_t kPlacesNamed = 5, kCellsApart = 4;

struct Class {
    char glyph;
    const char* colour;
    const char* name;
    unsigned column;  // of the legend, pixels; room for a disk of a billion blocks
};
constexpr std::array kClasses = {
    Class{kGlyphUnscanned, "#d9d9d9", "not scanned", 0},
    Class{kGlyphClean, "#a6d96a", "clean", 190}, Class{kGlyphWeak, "#74add1", "weak", 260},
    Class{kGlyphRemapped, "#fdae61", "remapped", 430}, Class{kGlyphLost, "#d7191c", "lost", 710}};

const Class& class_of(char glyph) {
    return *std::find_if(kClasses.begin(), kClasses.end(),
                         [glyph](const Class& known) { return known.glyph == glyph; });
}

std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : printable(text)) {
        switch (c) {
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '&':
                result += "&amp;";
                break;
            case '"':
                result += "&quot;";
                break;
            default:
                result += c;
        }
    }
    return result;
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%.3g %%",
                  whole == 0 ? 0.0 : 100 * static_cast<double>(part) / static_cast<double>(whole));
    return text.data();
}

void add_text(std::ostream& svg, std::uint64_t x, std::uint64_t y, const std::string& text) {
    svg << "<text x=\"" << x << "\" y=\"" << y << "\">" << escaped(text) << "</text>\n";
}

// A rectangle for each run of cells that look alike.
void add_cells(std::ostream& svg, const std::vector<SurfaceCell>& cells) {
    for (std::size_t i = 0; i < cells.size();) {
        const char glyph = surface_glyph(cells[i]);
        const std::size_t row_end = std::min((i / kSvgColumns + 1) * kSvgColumns, cells.size());
        std::size_t end = i + 1;
        while (end < row_end && surface_glyph(cells[end]) == glyph) end++;
        svg << "<rect x=\"" << kMargin + i % kSvgColumns * kCell << "\" y=\""
            << kTop + i / kSvgColumns * kCell << "\" width=\"" << (end - i) * kCell
            << "\" height=\"" << kCell << "\" fill=\"" << class_of(glyph).colour << "\"/>\n";
        i = end;
    }
}

// Whether the labels of two cells would lie on each other: a circle and a digit each.
bool too_near(std::size_t a, std::size_t b) {
    const auto apart = [](std::size_t x, std::size_t y) { return x < y ? y - x : x - y; };
    return apart(a % kSvgColumns, b % kSvgColumns) < kCellsApart &&
           apart(a / kSvgColumns, b / kSvgColumns) < kCellsApart;
}

// Of each cell, the first one of the stretch of cells with remapped blocks that it is in.
std::vector<std::size_t> stretches(const std::vector<SurfaceCell>& cells) {
    std::vector<std::size_t> first(cells.size());
    for (std::size_t i = 0; i < cells.size(); i++)
        first[i] =
            i != 0 && cells[i].remapped != 0 && cells[i - 1].remapped != 0 ? first[i - 1] : i;
    return first;
}

// Not five neighbours of one bad stretch, but five stretches, each by its densest cell. Only where
// there are fewer has one of them more labels.
std::vector<std::size_t> densest(const std::vector<SurfaceCell>& cells) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < cells.size(); i++)
        if (cells[i].remapped != 0) found.push_back(i);
    std::sort(found.begin(), found.end(), [&cells](std::size_t a, std::size_t b) {
        return std::tuple(cells[a].remapped, cells[a].lost, b) >
               std::tuple(cells[b].remapped, cells[b].lost, a);
    });
    const std::vector<std::size_t> stretch = stretches(cells);
    std::vector<bool> named(cells.size());  // by the first cell of a stretch
    std::vector<std::size_t> places;
    for (const bool again : {false, true}) {
        for (const std::size_t cell : found) {
            if (places.size() == kPlacesNamed) break;
            if (!again && named[stretch[cell]]) continue;
            if (std::any_of(places.begin(), places.end(),
                            [cell](std::size_t place) { return too_near(cell, place); }))
                continue;
            places.push_back(cell);
            named[stretch[cell]] = true;
        }
    }
    return places;
}

}  // namespace

SurfaceReport read_surface(const Control& control, std::uint64_t cells) {
    const std::uint64_t sectors = parse_status_line(control.read("status")).sectors;
    const std::uint64_t scanned =
        number_of(parse_name_values(control.read("stats")), "scanned_sectors");
    SurfaceReport report{sectors, scanned, 0, 0, 0, Surface(sectors, cells, scanned)};
    control.read_lines("remaps", [&report](const std::string& line) {
        const auto remap = parse_remap_line(line);
        if (!remap) return;  // the header
        report.surface.add(remap->sector, remap->lost);
        report.remapped_blocks++;
        report.lost_sectors += static_cast<unsigned>(std::popcount(remap->lost));
    });
    for (const auto& [sector, ns] : parse_name_values(control.read("weak"))) {
        if (sector == "#") continue;
        report.surface.add_weak(number_of({{sector, sector}}, sector));
        report.weak_blocks++;
    }
    return report;
}

std::string coloured_map(const std::string& map) {
    std::string text;
    char last = 0;
    const auto colour = [](char c) -> char {
        return c == kGlyphRemapped || c == kGlyphLost || c == kGlyphWeak || c == kGlyphUnscanned
                   ? c
                   : '\0';
    };
    // The legend is words.
    const auto cells = std::min(map.find('\n'), map.size());
    text.append(map, 0, cells);
    for (std::size_t i = cells; i < map.size(); i++) {
        const char now = colour(map[i]);
        if (now != last) {
            text += "\x1b[0m";
            if (now == kGlyphRemapped) text += "\x1b[33m";
            if (now == kGlyphLost) text += "\x1b[1;31m";
            if (now == kGlyphWeak) text += "\x1b[34m";
            if (now == kGlyphUnscanned) text += "\x1b[2m";
            last = now;
        }
        text += map[i];
    }
    return last == 0 ? text : text + "\x1b[0m";
}

std::string surface_svg(const SurfaceReport& report, const std::string& title) {
    const auto& cells = report.surface.cells();
    const std::uint64_t rows = (cells.size() + kSvgColumns - 1) / kSvgColumns;
    const std::uint64_t width = 2 * kMargin + kSvgColumns * kCell;
    const std::vector<std::size_t> places = densest(cells);
    const std::uint64_t legend = kTop + rows * kCell + 32;
    const std::uint64_t height = legend + 40 + 20 * places.size();
    std::ostringstream svg;
    svg << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height
        << "\" viewBox=\"0 0 " << width << " " << height
        << "\" font-family=\"sans-serif\" font-size=\"13\">\n"
        << "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    add_text(svg, kMargin, 20, title);
    add_text(svg, kMargin, 38,
             human_size(report.sectors * DMR_SECTOR_SIZE) + "; a cell is " +
                 short_size(report.surface.cell_sectors() * DMR_SECTOR_SIZE) +
                 ", rows from left to right");
    add_cells(svg, cells);
    const std::array shares = {
        percent(report.sectors - report.scanned_sectors, report.sectors), std::string(),
        plural(report.weak_blocks, "block"),
        plural(report.remapped_blocks, "block") + ", " +
            percent(report.remapped_blocks * DMR_SECTORS_PER_BLOCK, report.sectors),
        plural(report.lost_sectors, "sector") + ", " +
            percent(report.lost_sectors, report.sectors)};
    for (std::size_t i = 0; i < kClasses.size(); i++) {
        const std::uint64_t x = kMargin + kClasses[i].column;
        svg << "<rect x=\"" << x << "\" y=\"" << legend - 11
            << "\" width=\"12\" height=\"12\" fill=\"" << kClasses[i].colour << "\"/>\n";
        add_text(svg, x + 18, legend,
                 kClasses[i].name + (shares[i].empty() ? "" : ": " + shares[i]));
    }
    for (std::size_t i = 0; i < places.size(); i++) {
        const std::size_t cell = places[i];
        const std::uint64_t x = kMargin + cell % kSvgColumns * kCell;
        const std::uint64_t y = kTop + cell / kSvgColumns * kCell;
        svg << "<circle cx=\"" << x + kCell / 2 << "\" cy=\"" << y + kCell / 2
            << "\" r=\"8\" fill=\"none\" stroke=\"#000000\"/>\n";
        add_text(svg, x + kCell + 5, y + kCell + 2, std::to_string(i + 1));
        add_text(svg, kMargin, legend + 28 + 20 * i,
                 std::to_string(i + 1) + ": from sector " +
                     std::to_string(cell * report.surface.cell_sectors()) + " on, " +
                     plural(cells[cell].remapped, "remapped block") + ", " +
                     plural(cells[cell].lost, "lost sector"));
    }
    svg << "</svg>\n";
    return svg.str();
}

}  // namespace dmremap::ctl
