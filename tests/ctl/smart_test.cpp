// SPDX-License-Identifier: GPL-2.0-or-later
// What is believed of smartctl, and how long it is listened to.
#include "ctl/smart.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>

#include "ctl/output_of.h"
#include "tests/unit/scratch.h"

namespace dmremap::ctl {
namespace {

constexpr std::chrono::minutes kPatient{1};

std::string output_of_shell(const std::string& script, std::size_t most = 1000,
                            std::chrono::milliseconds time = kPatient) {
    return output_of({"sh", "-c", script}, most, time);
}

TEST(OutputOf, AllThatIsPrintedWhateverTheExitCode) {
    EXPECT_EQ(output_of_shell("echo one; echo err >&2; echo two; exit 8"), "one\ntwo\n");
    EXPECT_EQ(output_of({"printf", "%s", "a b"}, 100, kPatient), "a b");
    EXPECT_EQ(output_of_shell("cat"), "") << "there is nothing to read";
}

TEST(OutputOf, NothingOfAProgramThatIsNotThere) {
    EXPECT_EQ(output_of({"no-such-program-anywhere"}, 100, kPatient), "");
}

TEST(OutputOf, P8_APrinterWithoutEndIsKilled) {
    const test::ScratchDir scratch;
    const std::string file = scratch.path() + "/pid";
    EXPECT_EQ(output_of_shell("echo $$ > " + file + "; exec yes"), "");
    pid_t printer = 0;
    ASSERT_TRUE(std::ifstream(file) >> printer);
    int status = 0;
    if (waitpid(printer, &status, 0) == printer) {
        EXPECT_TRUE(WIFSIGNALED(status));
    }
    EXPECT_EQ(output_of_shell("printf 12345", 5), "12345");
    EXPECT_EQ(output_of_shell("printf 12345", 4), "");
}

TEST(OutputOf, P8_WhoHangsIsNotWaitedFor) {
    const std::chrono::milliseconds soon{300};
    EXPECT_EQ(output_of_shell("trap '' TERM; echo begun; sleep 600", 100, soon), "");
    // One that left the group keeps the pipe open.
    EXPECT_EQ(output_of_shell("setsid sleep 20 & echo begun", 100, soon), "");
}

TEST(Smart, FactsOfHealthyAndFailingDrives) {
    EXPECT_EQ(smart_facts_of(R"({"smart_status": {"passed": true}, "power_on_time": {"hours": 9},
        "temperature": {"current": -3}, "model_name": "X"})"),
              (Json{{"passed", true}, {"power_on_hours", 9}, {"temperature_celsius", -3}}));
    EXPECT_EQ(smart_facts_of(R"({"smart_status": {"passed": false}, "ata_smart_attributes":
        {"table": [{"id": 5, "raw": {"value": 1234}}, {"id": 197, "raw": {"value": 8}},
                   {"id": 9, "raw": {"value": 1}}]}})"),
              (Json{{"passed", false}, {"reallocated_sectors", 1234}, {"pending_sectors", 8}}));
    EXPECT_EQ(smart_facts_of(R"({"nvme_smart_health_information_log":
        {"media_errors": 18446744073709551615, "percentage_used": 101}})"),
              (Json{{"media_errors", 18446744073709551615ull}, {"percentage_used", 101}}));
    EXPECT_EQ(smart_facts_of(R"({"scsi_grown_defect_list": 3})"), (Json{{"grown_defects", 3}}));
}

TEST(Smart, P8_GarbageIsNoFact) {
    for (const std::string text :
         {"", "smartctl: not found", "[]", "null", "7", "{", "{}", "{\"smart_status\": 1}",
          "{\"smart_status\": [{\"passed\": true}]}", "{\"smart_status\": {\"passed\": {}}}",
          "{\"smart_status\": {\"passed\": \"\\u001b[31mfine\"}}",
          "{\"temperature\": {\"current\": 1e999}}", "{\"temperature\": {\"current\": 36.6}}",
          "{\"ata_smart_attributes\": {\"table\": {\"id\": 5}}}",
          "{\"ata_smart_attributes\": {\"table\": [5, null, [], {}, {\"id\": \"5\"}, "
          "{\"id\": 5}, {\"id\": 5, \"raw\": []}, {\"id\": 5, \"raw\": {\"value\": \"8\"}}]}}",
          "{\"smart_status\": {\"passed\": \"\xff\xfe\"}}"})
        EXPECT_TRUE(smart_facts_of(text).is_null()) << text;
    EXPECT_TRUE(smart_facts_of(std::string(500'000, '[')).is_null());
    EXPECT_TRUE(smart_facts_of(std::string(1000, '\0')).is_null());
}

TEST(Smart, OnlyBlockDevicesAreAsked) {
    const test::ScratchDir scratch;
    std::ofstream(scratch.path() + "/image") << "x";
    EXPECT_TRUE(smart_facts(scratch.path() + "/image").is_null());
    EXPECT_TRUE(smart_facts(scratch.path() + "/none").is_null());
    EXPECT_TRUE(smart_facts("/dev/null").is_null());
}

}  // namespace
}  // namespace dmremap::ctl
