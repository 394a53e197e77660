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

}  // namespace
}  // namespace dmremap::ctl
