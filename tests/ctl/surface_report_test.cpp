// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/surface_report.h"

#include <gtest/gtest.h>

namespace dmremap::ctl {
namespace {

TEST(SurfaceReport, ColoursAreOnlyOfCells) {
    EXPECT_EQ(coloured_map("# - o X\n0 ..oX--.\n"),
              "# - o X\n0 ..\x1b[0m\x1b[33mo\x1b[0m\x1b[1;31mX\x1b[0m\x1b[2m--\x1b[0m.\n");
    EXPECT_EQ(coloured_map("# no cells"), "# no cells");
}

TEST(SurfaceReport, TheDrawingIsWholeAndHarmless) {
    SurfaceReport report{1 << 20, 1 << 19, 0,
                         0,       0,       Surface(1 << 20, kSvgColumns * kSvgRows, 1 << 19)};
    for (std::uint64_t sector = 0; sector < 1024; sector += 8) {
        report.surface.add(sector, sector == 512 ? 3 : 0);
        report.remapped_blocks++;
    }
    report.lost_sectors = 2;
    const std::string svg = surface_svg(report, "<script>&\x1b\"");
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_NE(svg.find("&lt;script&gt;&amp;\\x1b&quot;"), std::string::npos);
    EXPECT_NE(svg.find(">remapped: 128 blocks, 0.0977 %<"), std::string::npos) << svg;
    EXPECT_NE(svg.find(">lost: 2 sectors, "), std::string::npos);
    EXPECT_NE(svg.find(">not scanned: 50 %<"), std::string::npos);
    EXPECT_NE(svg.find(">1: from sector 512 on, 16 remapped blocks, 2 lost sectors<"),
              std::string::npos);
    EXPECT_EQ(svg.find("http://www.w3.org"), svg.rfind("http")) << "not self-contained";
    EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

// One long stretch and two small ones: three labels, and none on another.
TEST(SurfaceReport, EachDensePlaceIsNamedOnce) {
    const std::uint64_t sectors = 1 << 20, cell = sectors / (kSvgColumns * kSvgRows);
    SurfaceReport report{sectors, sectors, 0,
                         0,       0,       Surface(sectors, kSvgColumns * kSvgRows, sectors)};
    const auto fill = [&](std::uint64_t from, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; i++) report.surface.add(from + i * 8, 0);
    };
    fill(0, 4 * cell / 8);
    fill(20 * cell, 2);
    fill(20 * cell + kSvgColumns * cell, 1);  // right below it
    fill(40 * cell, 3);
    const std::string svg = surface_svg(report, "");
    EXPECT_NE(svg.find(">1: from sector 0 on, 16 remapped"), std::string::npos) << svg;
    EXPECT_NE(svg.find(">2: from sector 5120 on, 3 remapped"), std::string::npos) << svg;
    EXPECT_NE(svg.find(">3: from sector 2560 on, 2 remapped"), std::string::npos) << svg;
    EXPECT_EQ(svg.find(">4: "), std::string::npos) << svg;
}

// A stretch that has room for all labels leaves one to the next.
TEST(SurfaceReport, ALongStretchDoesNotTakeAllNames) {
    const std::uint64_t sectors = 1 << 20, cell = sectors / (kSvgColumns * kSvgRows);
    SurfaceReport report{sectors, sectors, 0,
                         0,       0,       Surface(sectors, kSvgColumns * kSvgRows, sectors)};
    for (std::uint64_t at = 0; at < 64 * cell; at += 8) report.surface.add(at, 0);
    report.surface.add(sectors / 2, 0);
    const std::string svg = surface_svg(report, "");
    EXPECT_NE(svg.find(">1: from sector 0 on, 16 remapped"), std::string::npos) << svg;
    EXPECT_NE(svg.find(">2: from sector 524288 on, 1 remapped"), std::string::npos) << svg;
    EXPECT_NE(svg.find(">3: "), std::string::npos) << svg;
}

// At 13 pixels a letter takes 7 on average.
TEST(SurfaceReport, TheWordsOfTheLegendDoNotMeet) {
    const std::uint64_t sectors = 8000000000;
    const SurfaceReport report{sectors,  1000,   999999999,
                               99999999, 999999, Surface(sectors, kSvgColumns * kSvgRows, 1000)};
    const std::string svg = surface_svg(report, "");
    std::uint64_t end = 0;
    for (const std::string name : {"not scanned: ", "clean<", "weak: ", "remapped: ", "lost: "}) {
        const auto text = svg.find(">" + name);
        ASSERT_NE(text, std::string::npos) << name;
        const auto x = svg.rfind("x=\"", text) + 3;
        const std::uint64_t begin = std::stoull(svg.substr(x));
        EXPECT_GT(begin, end) << name;
        end = begin + 7 * (svg.find('<', text) - text - 1);
    }
    EXPECT_LE(end, std::stoull(svg.substr(svg.find("width=\"") + 7)));
}

}  // namespace
}  // namespace dmremap::ctl
