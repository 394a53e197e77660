// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/health.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/engine/battery.h"
#include "tests/unit/scratch.h"

namespace dmremap::test {
namespace {

DiskStatus well() {
    DiskStatus status;
    status.size = std::uint64_t{4} << 40;
    status.slots = 100000;
    status.scan.passes = 1;
    return status;
}

void use_slots(DiskStatus& status, std::uint64_t blocks) {
    status.active_mappings = status.slots_used = blocks;
}

TEST(Health, AHealthyDiskHasAllPointsAndNoAdvice) {
    const Health health = judge_health(well(), {});
    EXPECT_EQ(health.score, 100u);
    EXPECT_TRUE(health.because.empty());
    EXPECT_EQ(health.advice, "none");
    EXPECT_EQ(health.trend, "not enough history");
    EXPECT_EQ(health.spare_full, "not enough history");
}

TEST(Health, WorseIsNeverBetter) {
    unsigned last = 100;
    for (std::uint64_t n = 1; n < 50000; n *= 3) {
        DiskStatus status = well();
        use_slots(status, n);
        status.lost_sectors = n;
        status.scan.weak = n;
        status.days = {{100, 0, 0, 0}, {108, static_cast<std::uint32_t>(n), 0, 0}};
        const unsigned score = judge_health(status, {}).score;
        EXPECT_LE(score, last) << n;
        last = score;
    }
    EXPECT_LT(last, 20u);
}

TEST(Health, ADiskThatDoesNotAnswerHasNone) {
    DiskStatus status = well();
    status.state = State::failed;
    EXPECT_EQ(judge_health(status, {}).score, 0u);
    status.state = State::read_only;
    EXPECT_EQ(judge_health(status, {}).score, 20u);
    status.causes = {{State::read_only, "opened_read_only", ""}};
    EXPECT_EQ(judge_health(status, {}).score, 100u);
}

TEST(Health, TheForecastSaysWhatItRestsOn) {
    DiskStatus status = well();
    status.slots = 2200;
    use_slots(status, 200);
    status.days = {{100, 80, 0, 0}, {109, 200, 0, 0}};
    EXPECT_EQ(judge_health(status, {}).spare_full,
              "in about 150 days at this rate (120 blocks in 9 days, 2000 slots free)");
    EXPECT_EQ(judge_health(status, {}).trend, "120 new remaps in 9 days");
    status.days = {{107, 80, 0, 0}, {109, 200, 0, 0}};
    EXPECT_EQ(judge_health(status, {}).spare_full, "not enough history");
    status.days = {{100, 200, 0, 0}, {109, 200, 0, 0}};
    EXPECT_EQ(judge_health(status, {}).spare_full, "no growth in 9 days");
    EXPECT_EQ(judge_health(status, {}).trend, "no new remaps in 9 days");
    use_slots(status, 2200);
    EXPECT_EQ(judge_health(status, {}).spare_full, "it is full");
}

TEST(Health, AScratchIsSaid) {
    DiskStatus status = well();
    use_slots(status, 10);
    const Health spread = judge_health(status, {10, 2, 0});
    const Health dense = judge_health(status, {10, 8, 131072});
    EXPECT_EQ(spread.score, dense.score + 5);
    EXPECT_NE(dense.because.back().find("sector 131072"), std::string::npos);
}

TEST(Health, TheTextHasTheSentences) {
    DiskStatus status = well();
    status.lost_sectors = 1;
    const std::string text = health_text(status, {});
    EXPECT_EQ(text.find("state healthy\ncauses none\nscore 89\nbecause 1 sector could not"), 0u);
    EXPECT_NE(text.find("\nadvice run salvage"), std::string::npos);
}

TEST(Battery, IsLowOnlyWhereThatIsKnown) {
    const ScratchDir scratch;
    const std::filesystem::path root = scratch.path() + "/supplies";
    EXPECT_FALSE(battery_low(root.c_str()));
    const auto put = [&](const char* name, const char* file, const char* text) {
        std::filesystem::create_directories(root / name);
        std::ofstream(root / name / file) << text << "\n";
    };
    put("AC", "type", "Mains");
    EXPECT_FALSE(battery_low(root.c_str()));
    put("mouse", "type", "Battery");
    put("mouse", "scope", "Device");
    put("mouse", "status", "Discharging");
    put("mouse", "capacity", "3");
    EXPECT_FALSE(battery_low(root.c_str()));
    put("BAT0", "type", "Battery");
    put("BAT0", "status", "Discharging");
    EXPECT_FALSE(battery_low(root.c_str())) << "without a capacity";
    put("BAT0", "capacity", "19");
    EXPECT_TRUE(battery_low(root.c_str()));
    put("BAT0", "status", "Charging");
    EXPECT_FALSE(battery_low(root.c_str()));
}

}  // namespace
}  // namespace dmremap::test
