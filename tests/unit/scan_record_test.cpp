// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/meta/scan_record.h"

#include <gtest/gtest.h>

namespace dmremap::test {
namespace {

constexpr std::uint64_t kDay = kSecondsADay;

dmr_superblock superblock_of(std::uint64_t blocks) {
    dmr_superblock sb{};
    sb.main_size = dmr_to_le64(blocks * DMR_BLOCK_SIZE);
    return sb;
}

TEST(ScanRecord, SurvivesTheSuperblock) {
    ScanRecord record;
    record.state = DMR_SCAN_PAUSED;
    record.begin = 3;
    record.cursor = 5;
    record.end = 9;
    record.pass_start = 11;
    record.pass_end = 12;
    record.passes = 13;
    record.found = 14;
    record.pass_found = 2;
    record.metadata_repairs = 7;
    record.note_day(kDay, 100 * kDay, 1, 2, 3);
    dmr_superblock sb = superblock_of(100);
    store_scan_record(record, sb);
    const ScanRecord again = load_scan_record(sb);
    EXPECT_EQ(again.state, record.state);
    EXPECT_EQ(again.begin, 3u);
    EXPECT_EQ(again.cursor, 5u);
    EXPECT_EQ(again.end, 9u);
    EXPECT_EQ(again.pass_start, 11u);
    EXPECT_EQ(again.pass_end, 12u);
    EXPECT_EQ(again.passes, 13u);
    EXPECT_EQ(again.found, 14u);
    EXPECT_EQ(again.pass_found, 2u);
    EXPECT_EQ(again.metadata_repairs, 7u);
    EXPECT_EQ(again.days[0].day, 100u);
    EXPECT_EQ(again.days[0].errors, 3u);
}

// What can be is the format's decision: format_test.cpp.
TEST(ScanRecord, P8_APassThatCannotBeIsNone) {
    dmr_superblock sb = superblock_of(100);
    sb.compat = dmr_to_le32(DMR_COMPAT_SCAN);
    sb.scan_state = dmr_to_le32(DMR_SCAN_RUNNING);
    sb.scan_begin = dmr_to_le64(60);
    sb.scan_cursor = dmr_to_le64(50);
    sb.scan_end = dmr_to_le64(100);
    sb.scan_passes = dmr_to_le64(4);
    ScanRecord record = load_scan_record(sb);
    EXPECT_EQ(record.state, std::uint32_t{DMR_SCAN_NONE});
    EXPECT_EQ(record.begin + record.cursor + record.end, 0u);
    EXPECT_EQ(record.passes, 4u);
    sb.scan_cursor = dmr_to_le64(60);
    record = load_scan_record(sb);
    EXPECT_EQ(record.state, std::uint32_t{DMR_SCAN_RUNNING});
    EXPECT_EQ(record.cursor, 60u);
}

TEST(ScanRecord, WithoutTheFeatureNothingButTheTotalsCounts) {
    dmr_superblock sb = superblock_of(100);
    sb.scan_state = dmr_to_le32(DMR_SCAN_RUNNING);
    sb.scan_end = dmr_to_le64(100);
    sb.scan_passes = dmr_to_le64(4);
    EXPECT_EQ(load_scan_record(sb).state, std::uint32_t{DMR_SCAN_NONE});
    EXPECT_EQ(load_scan_record(sb).passes, 4u);
}

TEST(ScanRecord, ADayIsNotedOnceAndItsErrorsAddUp) {
    ScanRecord record;
    record.note_day(kDay, 100 * kDay, 1, 0, 2);
    record.note_day(kDay, 100 * kDay + 3600, 5, 1, 2);
    record.note_day(kDay, 101 * kDay, 6, 1, 1);
    EXPECT_EQ(record.days[0].remaps, 5u);
    EXPECT_EQ(record.days[0].errors, 4u);
    EXPECT_EQ(record.days[1].day, 101u);
    EXPECT_EQ(record.days[1].errors, 1u);
    EXPECT_EQ(record.days[2].day, 0u);
}

TEST(ScanRecord, TheOldestDayGoesFirst) {
    ScanRecord record;
    for (std::uint64_t day = 1; day <= 2 * DMR_HISTORY_DAYS; day++)
        record.note_day(kDay, day * kDay, day, 0, 0);
    for (std::uint32_t i = 0; i < DMR_HISTORY_DAYS; i++)
        EXPECT_EQ(record.days.at(i).day, DMR_HISTORY_DAYS + 1 + i);
}

TEST(ScanRecord, M12_AClockThatWasAheadLeavesNoDaysBehind) {
    ScanRecord record;
    record.note_day(kDay, 100 * kDay, 1, 0, 0);
    record.note_day(kDay, 40000 * kDay, 2, 0, 0);
    record.note_day(kDay, 101 * kDay, 3, 0, 0);
    EXPECT_EQ(record.days[1].day, 101u);
    EXPECT_EQ(record.days[2].day, 0u);
}

TEST(ScanRecord, M12_AClockThatIsBehindForgetsNoDays) {
    ScanRecord record;
    record.note_day(90 * kDay, 100 * kDay, 1, 0, 0);
    record.note_day(90 * kDay, 0, 4, 0, 0);  // no clock at all
    record.note_day(90 * kDay, 89 * kDay, 4, 0, 0);
    EXPECT_EQ(record.days[0].day, 100u);
    EXPECT_EQ(record.days[0].remaps, 1u);
}

}  // namespace
}  // namespace dmremap::test
