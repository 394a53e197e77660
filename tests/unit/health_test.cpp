// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/health.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

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

// The manual's table, a row at a time: what takes away how much.
struct Row {
    unsigned fixed = 0, by_log2 = 0, at_most = 0;
};

std::map<std::string, Row> rows_of_the_manual() {
    std::ifstream manual(DMREMAP_SOURCE_DIR "/fuse/mount.dmremapfs.8");
    std::string line;
    while (std::getline(manual, line) && line != "number of|fixed|by log2|at most") continue;
    std::map<std::string, Row> rows;
    while (std::getline(manual, line) && line != ".TE") {
        const std::string name = line.substr(0, line.find('|'));
        std::istringstream figures(line.substr(name.size()));
        char bar = 0;
        Row row;
        figures >> bar >> row.fixed >> bar >> row.by_log2 >> bar >> row.at_most;
        if (figures) rows[name] = row;
    }
    return rows;
}

// A disk that is well but for so many of what the row is about.
DiskStatus ill(const std::string& name, std::uint64_t n, RemapSpread& spread) {
    DiskStatus status = well();
    status.slots = std::uint64_t{1} << 40;
    const auto days = [&](std::uint32_t remaps) {
        status.days = {{100, 5, 0, 0}, {107, 5 + remaps, 0, 0}};
    };
    const auto leave = [&](std::uint64_t percent) {  // of the slots
        status.slots = 1000;
        status.slots_used = n == 0 ? 0 : 1000 - 10 * percent;
    };
    if (name == "lost sectors") status.lost_sectors = n;
    if (name == "remapped blocks") status.active_mappings = n;
    if (name == "blocks remapped in 7 days") days(static_cast<std::uint32_t>(n));
    if (name == "weak blocks") status.scan.weak = n;
    if (name == "repaired copies of metadata") status.scan.metadata_repairs = n;
    if (name == "any failed write of main") status.totals.main_failed[1] = n;
    if (name == "any failed call of the spare") status.totals.spare_errors = n;
    if (name == "any retired page of the spare") status.retired_pages = n;
    if (name == "half of 8 or more within 64 MiB") spread = {n == 0 ? 0u : 8u, 4, 0};
    if (name == "slots free: below 20 %") leave(19);
    if (name == "slots free: below 10 %") leave(9);
    if (name == "slots free: below 5 %") leave(4);
    if (name == "slots free: none") leave(0);
    return status;
}

unsigned taken(const std::string& name, std::uint64_t n) {
    RemapSpread spread;
    const DiskStatus status = ill(name, n, spread);
    const Health health = judge_health(status, spread);
    EXPECT_EQ(health.because.size(), n == 0 ? 0u : 1u) << name;
    return 100 - health.score;
}

// log2(n + 1), rounded up, by doubling.
unsigned log2_of(std::uint64_t n) {
    unsigned log2 = 0;
    for (std::uint64_t power = 1; power < n + 1; power *= 2) log2++;
    return log2;
}

TEST(Health, TheFiguresAreTheManuals) {
    static_assert(static_cast<unsigned>(Op::write) == 1);
    const auto rows = rows_of_the_manual();
    ASSERT_EQ(rows.size(), 13u);
    for (const auto& [name, row] : rows) {
        EXPECT_EQ(taken(name, 0), 0u) << name;
        for (const std::uint64_t n : {1, 2, 3, 4, 7, 8, 100, 1000000}) {
            const unsigned points = std::min(row.fixed + row.by_log2 * log2_of(n), row.at_most);
            EXPECT_EQ(taken(name, n), points) << n << " of " << name;
        }
    }
}

TEST(Health, EachReasonHasItsSentence) {
    const std::map<std::string, std::string> sentences = {
        {"lost sectors", "3 sectors could not be read by anybody."},
        {"remapped blocks", "3 blocks of main had to be remapped."},
        {"blocks remapped in 7 days", "3 blocks of them in the last 7 days."},
        {"weak blocks", "3 blocks can be read only slowly or by trying again."},
        {"repaired copies of metadata",
         "3 copies of the metadata were found damaged on the spare and repaired."},
        {"any failed write of main", "Main failed 3 writes since the disk was opened."},
        {"any failed call of the spare", "The spare failed 3 calls since the disk was opened."},
        {"any retired page of the spare",
         "3 pages of the spare's metadata cannot be relied on any more."},
        {"half of 8 or more within 64 MiB",
         "4 blocks of them lie within 64 MiB from sector 0 on, as under a scratch, which grows."},
        {"slots free: none", "0 of 1000 slots of the spare are free."},
    };
    for (const auto& [name, sentence] : sentences) {
        RemapSpread spread;
        const DiskStatus status = ill(name, 3, spread);
        EXPECT_EQ(judge_health(status, spread).because, std::vector<std::string>{sentence});
    }
}

// All at once is 0 and no less, and says everything.
TEST(Health, TheScoreEndsAtNought) {
    DiskStatus status = well();
    use_slots(status, status.slots);
    status.lost_sectors = status.scan.weak = status.retired_pages = ~0ull;
    status.scan.metadata_repairs = status.totals.spare_errors = ~0ull;
    status.totals.main_failed[1] = ~0ull;
    status.days = {{1, 0, 0, 0}, {8, ~0u, 0, 0}};
    const Health health = judge_health(status, {100, 100, 0});
    EXPECT_EQ(health.score, 0u);
    EXPECT_EQ(health.because.size(), 10u);
}

TEST(Health, OneDayIsNoHistory) {
    DiskStatus status = well();
    use_slots(status, 50);
    status.days = {{100, 50, 0, 0}};
    const Health health = judge_health(status, {});
    EXPECT_EQ(health.trend, "not enough history");
    EXPECT_EQ(health.spare_full, "not enough history");
}

// Blocks that were unmapped are no growth; nor is what a clock far ahead made of the last days.
TEST(Health, HistoryThatFallsOrLeapsStaysSensible) {
    DiskStatus status = well();
    use_slots(status, 20);
    status.days = {{100, 50, 0, 0}, {108, 20, 0, 0}};
    EXPECT_EQ(judge_health(status, {}).trend, "no new remaps in 8 days");
    EXPECT_EQ(judge_health(status, {}).spare_full, "no growth in 8 days");
    status.days = {{100, 10, 0, 0}, {~0u, 20, 0, 0}};
    EXPECT_EQ(judge_health(status, {}).trend, "10 new remaps in 4294967195 days");
    // Seven days: the nearest that was noted at least so long ago, else the oldest.
    status.days = {{90, 1, 0, 0}, {92, 4, 0, 0}, {95, 9, 0, 0}, {100, 20, 0, 0}};
    EXPECT_EQ(judge_health(status, {}).trend, "16 new remaps in 8 days");
    status.days = {{95, 9, 0, 0}, {100, 20, 0, 0}};
    EXPECT_EQ(judge_health(status, {}).trend, "11 new remaps in 5 days");
}

TEST(Health, TheAdviceIsForTheWorst) {
    DiskStatus status = well();
    const auto advice = [&] { return judge_health(status, {}).advice; };
    status.active_mappings = 1;
    status.scan.passes = 0;
    EXPECT_EQ(advice(), "scan the disk once: there may be more bad blocks than were met so far");
    status.scan.weak = 1;
    EXPECT_EQ(advice().find("set relocate_weak Y"), 0u);
    status.lost_sectors = 1;
    EXPECT_EQ(advice().find("run salvage"), 0u);
    status.causes = {{State::degraded, "retired_pages", ""}};
    EXPECT_EQ(advice().find("look at the spare"), 0u);
    status.causes.push_back({State::degraded, "spare_low", ""});
    EXPECT_EQ(advice().find("copy the disk while it can be"), 0u);
    status.causes.push_back({State::degraded, "lost_pages", ""});
    EXPECT_EQ(advice().find("copy the disk while it is mounted"), 0u);
    status.state = State::read_only;
    EXPECT_EQ(advice().find("unmount and mount again"), 0u);
    status.state = State::failed;
    EXPECT_EQ(advice().find("look at cables and power"), 0u);
}

TEST(Battery, IsLowOnlyWhereThatIsKnown) {
    const ScratchDir scratch;
    const std::filesystem::path root = scratch.path() + "/supplies";
    EXPECT_FALSE(battery_low(root));
    const auto put = [&](const char* name, const char* file, const char* text) {
        std::filesystem::create_directories(root / name);
        std::ofstream(root / name / file) << text << "\n";
    };
    put("AC", "type", "Mains");
    EXPECT_FALSE(battery_low(root));
    put("mouse", "type", "Battery");
    put("mouse", "scope", "Device");
    put("mouse", "status", "Discharging");
    put("mouse", "capacity", "3");
    EXPECT_FALSE(battery_low(root));
    put("BAT0", "type", "Battery");
    put("BAT0", "status", "Discharging");
    EXPECT_FALSE(battery_low(root)) << "without a capacity";
    put("BAT0", "capacity", "19");
    EXPECT_TRUE(battery_low(root));
    put("BAT0", "status", "Charging");
    EXPECT_FALSE(battery_low(root));
}

}  // namespace
}  // namespace dmremap::test
