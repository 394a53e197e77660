// SPDX-License-Identifier: GPL-2.0-or-later
// map: a picture of the surface, in text or as an SVG.
#include <unistd.h>

#include <boost/program_options/value_semantic.hpp>

#include "ctl/number.h"
#include "ctl/replace_file.h"
#include "ctl/surface_report.h"
#include "ctl/verb.h"

namespace po = boost::program_options;

namespace dmremap::ctl {

namespace {

void declare(OptionDeclarations& options) {
    options.add_options()("svg", po::value<std::string>()->value_name("FILE"),
                          "draw it into FILE instead");
    options.add_options()("width", po::value<std::string>()->value_name("N"),
                          "cells in a row, 8 to 1024 (the parameter map_width)");
}

std::uint64_t width_of(const Arguments& arguments, const Control& control) {
    const std::string wanted = arguments.value("width");
    const std::uint64_t width =
        parse_number(wanted.empty() ? control.read("params/map_width") : wanted, "a width");
    if (width < 8 || width > 1024)
        throw Refusal(RefusalKind::usage, "a map is 8 to 1024 cells wide");
    return width;
}

Answer run(const Arguments& arguments) {
    const Control control = find_control(arguments.operands().front());
    const std::string svg = arguments.value("svg");
    const std::uint64_t width = svg.empty() ? width_of(arguments, control) : kSvgColumns;
    const SurfaceReport report = read_surface(control, width * (svg.empty() ? kMapRows : kSvgRows));
    if (!svg.empty()) {
        const StatusLine status = parse_status_line(control.read("status"));
        replace_file(svg, surface_svg(report, status.main + ", " + control.read("uuid") + ", " +
                                                  control.read("state")));
    }
    Answer answer;
    std::string glyphs;
    for (const SurfaceCell& cell : report.surface.cells()) glyphs += surface_glyph(cell);
    answer.json = {{"target", control.mount_point()},
                   {"size_sectors", report.sectors},
                   {"scanned_sectors", report.scanned_sectors},
                   {"remapped_blocks", report.remapped_blocks},
                   {"lost_sectors", report.lost_sectors},
                   {"weak_blocks", report.weak_blocks},
                   {"cell_sectors", report.surface.cell_sectors()},
                   {"glyphs", glyphs},
                   {"svg", svg.empty() ? Json(nullptr) : Json(svg)}};
    if (svg.empty()) {
        answer.text = surface_text(report.surface, width);
        if (::isatty(STDOUT_FILENO) == 1) answer.text = coloured_map(answer.text);
    }
    return answer;
}

}  // namespace

extern constinit const Verb map_verb = {
    .name = "map",
    .usage = "[--width N | --svg FILE] TARGET",
    .help = "draw the surface: clean, not scanned, weak, remapped, lost",
    .operands_min = 1,
    .operands_max = 1,
    .declare = declare,
    .exit_codes = ExitCodes::usual,
    .run = run,
};

}  // namespace dmremap::ctl
