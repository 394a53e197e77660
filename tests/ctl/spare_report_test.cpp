// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/spare_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace dmremap::ctl {
namespace {

template <std::size_t N>
void fill(__u8 (&field)[N], const std::string& text) {
    ASSERT_LE(text.size(), N);
    std::copy(text.begin(), text.end(), field);
}

SpareReport sample() {
    SpareReport report;
    report.copies = {{.offset = 65536, .verdict = DMR_OK, .sequence = 7, .newest = true},
                     {.offset = 2 << 20, .verdict = DMR_BAD_CRC},
                     {.offset = 6 << 20, .read_error = EIO}};
    report.has_superblock = true;
    dmr_superblock& sb = report.superblock;
    for (__u8 i = 0; i < 16; i++) sb.uuid[i] = i;
    fill(sb.label, "home");
    fill(sb.main_text, "serial=A\nsize=1048576\n");
    fill(sb.holder_name, "dmremapfs");
    sb.sequence = dmr_to_le64(7);
    sb.main_size = dmr_to_le64(1048576);
    sb.page_size = dmr_to_le32(4096);
    sb.slots = dmr_to_le64(100);
    sb.flags = dmr_to_le32(DMR_IN_USE);
    sb.holder_pid = dmr_to_le64(42);
    sb.scan_cursor = dmr_to_le64(3);
    report.table.entries = 100;
    report.table.one_copy = 2;
    report.repairable = {"2 entries have only one good copy"};
    return report;
}

std::vector<std::string> keys(const Json& json) {
    std::vector<std::string> names;
    for (const auto& item : json.items()) names.push_back(item.key());
    return names;
}

// These lists are the promise of the manual. Adding a key at the end is fine, anything else is not.
TEST(SpareReport, JsonKeysAreStable) {
    const Json json = to_json(sample());
    EXPECT_EQ(keys(json),
              (std::vector<std::string>{"copies", "superblock", "table", "repairable", "fatal"}));
    EXPECT_EQ(
        keys(json["copies"][0]),
        (std::vector<std::string>{"offset_bytes", "verdict", "read_error", "sequence", "newest"}));
    EXPECT_EQ(keys(json["superblock"]), (std::vector<std::string>{"uuid",
                                                                  "label",
                                                                  "version",
                                                                  "features",
                                                                  "sequence",
                                                                  "created_unix",
                                                                  "written_unix",
                                                                  "clean",
                                                                  "in_use",
                                                                  "holder",
                                                                  "main",
                                                                  "spare",
                                                                  "slots",
                                                                  "slot_bytes",
                                                                  "page_bytes",
                                                                  "first_table_offset_bytes",
                                                                  "first_slot_offset_bytes",
                                                                  "second_table_offset_bytes",
                                                                  "table_ready",
                                                                  "live_remaps",
                                                                  "entry_epoch",
                                                                  "witness",
                                                                  "params",
                                                                  "scan"}));
    EXPECT_EQ(
        keys(json["superblock"]["holder"]),
        (std::vector<std::string>{"name", "pid", "start_ticks", "since_unix", "machine", "boot"}));
    EXPECT_EQ(keys(json["table"]),
              (std::vector<std::string>{"entries", "remapped", "free", "bad_slots", "lost_sectors",
                                        "retry_sectors", "one_copy", "stale", "superseded",
                                        "no_copy", "conflicts", "above_ready"}));
}

TEST(SpareReport, JsonValues) {
    const Json json = to_json(sample());
    const Json& sb = json["superblock"];
    EXPECT_EQ(sb["uuid"], "00010203-0405-0607-0809-0a0b0c0d0e0f");
    EXPECT_EQ(sb["label"], "home");
    EXPECT_EQ(sb["main"]["size_bytes"], 1048576);
    EXPECT_EQ(sb["main"]["identity"]["text"], "serial=A\nsize=1048576\n");
    EXPECT_EQ(sb["clean"], false);
    EXPECT_EQ(sb["holder"]["pid"], 42);
    EXPECT_EQ(sb["scan"]["cursor_sector"], 24);
    EXPECT_EQ(json["copies"][1]["verdict"], "bad checksum");
    EXPECT_EQ(json["copies"][2]["read_error"], EIO);
    EXPECT_EQ(json["table"]["one_copy"], 2);
}

TEST(SpareReport, WithoutAMarkThereIsNoHolder) {
    SpareReport report = sample();
    report.superblock.flags = dmr_to_le32(DMR_CLEAN);
    EXPECT_TRUE(to_json(report)["superblock"]["holder"].is_null());
}

TEST(SpareReport, WithoutASuperblockThereIsOnlyWhatIsKnown) {
    SpareReport report;
    report.copies = {{.offset = 65536, .verdict = DMR_NOT_OURS}};
    report.fatal = {"no superblock copy is whole"};
    const Json json = to_json(report);
    EXPECT_TRUE(json["superblock"].is_null());
    EXPECT_TRUE(json["table"].is_null());
    const std::string text = report_text(report, "x.img", "");
    EXPECT_NE(text.find("no valid copy"), std::string::npos);
    EXPECT_NE(text.find("fatal: no superblock copy is whole"), std::string::npos);
}

TEST(SpareReport, TextNamesEachCopyAndFinding) {
    const std::string text = report_text(sample(), "x.img", "held by a test");
    for (const char* part :
         {"bad checksum", "unreadable: Input/output error", "held by a test",
          "serial=A, size=1048576", "with one good copy:", "repairable: 2 entries"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    EXPECT_EQ(text.find("with no good copy"), std::string::npos);
}

// P8: a hostile superblock may hold anything that its checksum covers.
TEST(SpareReport, P8HostileTextIsHarmless) {
    SpareReport report = sample();
    std::memset(report.superblock.label, 0x1b, sizeof(report.superblock.label));
    std::memset(report.superblock.main_text, 0xff, sizeof(report.superblock.main_text));
    std::memset(report.superblock.holder_name, 0xc3, sizeof(report.superblock.holder_name));
    const std::string holder = holder_text(report.superblock, HolderVerdict::dead);
    const std::string text = report_text(report, "x\x1b.img", holder);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find('\xff'), std::string::npos);
    EXPECT_NO_THROW(to_json(report).dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace
}  // namespace dmremap::ctl
