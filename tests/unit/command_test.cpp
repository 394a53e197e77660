// SPDX-License-Identifier: GPL-2.0-or-later
// The grammar of messages, good and bad, and what comes of each on a disk in memory.
#include "core/command/command.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "core/command/execute.h"
#include "core/command/parameter_table.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

namespace {

std::optional<Command> parse(const std::string& message) {
    std::string why;
    const auto command = parse_command(message, why);
    EXPECT_EQ(command.has_value(), why.empty()) << message << ": " << why;
    return command;
}

std::string refusal(const std::string& message) {
    std::string why;
    EXPECT_FALSE(parse_command(message, why)) << message;
    return why;
}

struct CommandedPair : TestPair {
    explicit CommandedPair(const Shape& shape = {}) : TestPair(shape) {
        fill_main(1);
        format();
        open();
        parameters.emplace(*disk);
    }

    CommandAnswer say(const std::string& message) {
        const auto command = parse(message);
        if (!command) return {EINVAL, "not parsed", ""};
        return execute_command({*disk, *parameters, false}, *command, nullptr);
    }

    std::optional<ParameterTable> parameters;
};

}  // namespace

TEST(Command, EveryFormIsUnderstood) {
    for (const char* word : {"help", "status", "stats", "health", "clear_stats", "salvage"})
        EXPECT_TRUE(parse(word)) << word;
    const auto remap = parse("  remap \t 18446744073709551615   7 \n");
    ASSERT_TRUE(remap);
    EXPECT_EQ(remap->verb, CommandVerb::remap);
    EXPECT_EQ(remap->sector, UINT64_MAX);
    EXPECT_EQ(remap->count, 7u);
    EXPECT_EQ(parse("remap 80")->count, 1u);
    EXPECT_FALSE(parse("unmap 80 8")->force);
    EXPECT_TRUE(parse("unmap 80 8 force")->force);
    EXPECT_EQ(parse("unmap 80 8 force")->count, 8u);
    EXPECT_TRUE(parse("unmap 80 force")->force);
    EXPECT_EQ(parse("query 5")->sector, 5u);
    EXPECT_EQ(parse("scan start 8 16")->count, 16u);
    for (const char* scan : {"scan start", "scan stop", "scan pause", "scan resume"})
        EXPECT_EQ(parse(scan)->verb, CommandVerb::scan);
    EXPECT_EQ(parse("set read_retries 3")->parameter, "read_retries");
    EXPECT_EQ(parse("set read_retries 3")->value, "3");
}

TEST(Command, EveryFormIsInTheHelp) {
    for (const char* verb : {"help", "status", "stats", "health", "clear_stats", "remap", "unmap",
                             "query", "salvage", "scan", "set"})
        EXPECT_NE(("\n" + command_help()).find(std::string("\n") + verb + " "), std::string::npos)
            << verb;
}

TEST(Command, WrongWordsSayWhatWasExpected) {
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "there is no message; expected one of help"},
        {" \n", "there is no message"},
        {"frobnicate", "\"frobnicate\" is no message"},
        {"Help", "\"Help\" is no message"},
        {"help me", "\"me\" is one word too many; expected: help"},
        {"remap", "a sector is missing; expected: remap SECTOR [COUNT]"},
        {"remap -1", "\"-1\" is no sector"},
        {"remap 0x10", "\"0x10\" is no sector"},
        {"remap 18446744073709551616", "is no sector"},
        {"remap 1.5", "\"1.5\" is no sector"},
        {"remap 8 0", "\"0\" is no number of sectors"},
        {"remap 8 force", "\"force\" is no number of sectors"},
        {"remap 8 8 8", "\"8\" is one word too many"},
        {"unmap force", "\"force\" is no sector"},
        {"unmap 8 force 8", "\"force\" is no number"},
        {"query", "a sector is missing"},
        {"query 8 8", "one word too many"},
        {"scan", "too few words"},
        {"scan now", "\"now\" is not known of a scan"},
        {"scan start 8", "a count is missing"},
        {"scan stop 8", "one word too many"},
        {"set", "too few words; expected: set PARAM VALUE"},
        {"status\nstatus", "a message is one line"},
        {std::string("status\0", 7), "a message is one line"},
        {std::string(2000, 'x'), "at most 1024 bytes"},
        {"\x1b[2J", "\"?[2J\" is no message"},
    };
    for (const auto& [message, sentence] : wrong)
        EXPECT_NE(refusal(message).find(sentence), std::string::npos)
            << message << ": " << refusal(message);
}

TEST(Command, RemapQueryUnmap) {
    CommandedPair pair;
    EXPECT_EQ(pair.say("query 83").text, "sector 83\nplace main\n");
    CommandAnswer answer = pair.say("remap 83 8");
    EXPECT_EQ(answer.error, 0);
    EXPECT_EQ(answer.text, "changed_blocks 2\nunchanged_blocks 0\nrefused_blocks 0\n");
    const auto remap = pair.remap_of(10);
    ASSERT_TRUE(remap);
    answer = pair.say("query 83");
    EXPECT_EQ(answer.text, "sector 83\nplace spare\nspare_sector " +
                               std::to_string(remap->spare_sector + 3) + "\nslot " +
                               std::to_string(remap->slot) + "\nreason manual\ntime " +
                               std::to_string(remap->time) + "\nlost 0\nretry 0\n");
    EXPECT_EQ(pair.say("remap 80 24").text,
              "changed_blocks 1\nunchanged_blocks 2\nrefused_blocks 0\n");
    EXPECT_EQ(pair.say("unmap 0 " + std::to_string(pair.sectors())).text,
              "changed_blocks 3\nunchanged_blocks 1021\nrefused_blocks 0\n");
}

// Its entry says one thing, but what came of the change of it is not known.
TEST(Command, QueryOfAFencedBlockNamesNoPlace) {
    CommandedPair pair;
    ASSERT_EQ(pair.say("remap 80").error, 0);
    pair.spare->set_hook([&pair](const Call& call) {
        return call.op == Op::write && pair.table_copy(call.offset) >= 0 ? EIO : Medium::kPass;
    });
    EXPECT_NE(pair.say("unmap 80").error, 0);
    const CommandAnswer answer = pair.say("query 83");
    EXPECT_EQ(answer.error, 0);
    EXPECT_TRUE(answer.text.starts_with("sector 83\nplace fenced\nadvice ")) << answer.text;
    EXPECT_EQ(answer.text.find("slot"), std::string::npos) << answer.text;
    EXPECT_EQ(pair.say("query 88").text, "sector 88\nplace main\n");
    pair.spare->set_hook(nullptr);
}

TEST(Command, WhatIsRefusedIsCountedAndSaid) {
    CommandedPair pair;
    pair.main->set_fault(83, 1, Fault{.read = true});
    ASSERT_EQ(pair.say("remap 80 8").error, 0);
    EXPECT_NE(pair.say("query 83").text.find("lost 1\nretry 1\n"), std::string::npos);
    EXPECT_NE(pair.say("query 84").text.find("lost 0\nretry 0\n"), std::string::npos);
    const CommandAnswer answer = pair.say("unmap 80");
    EXPECT_EQ(answer.error, ENODATA);
    EXPECT_EQ(answer.text,
              "changed_blocks 0\nunchanged_blocks 0\nrefused_blocks 1\nfirst_refused_sector 80\n");
    EXPECT_NE(answer.str().find("error the block at sector 80 was left as it was: sectors"),
              std::string::npos)
        << answer.str();
    EXPECT_EQ(pair.say("salvage").text, "salvaged_sectors 0\nlost_sectors 1\nretry_sectors 1\n");
    pair.main->heal_all();
    EXPECT_EQ(pair.say("salvage").text, "salvaged_sectors 1\nlost_sectors 0\nretry_sectors 0\n");
    EXPECT_EQ(pair.say("unmap 80").error, 0);
}

TEST(Command, RangesOutsideTheDiskHaveNoEffect) {
    CommandedPair pair;
    const std::string size = std::to_string(pair.sectors());
    for (const auto& message : std::vector<std::string>{
             "remap " + size, "remap 0 18446744073709551615", "unmap 8 " + size, "query " + size})
        EXPECT_EQ(pair.say(message).error, EINVAL) << message;
    EXPECT_TRUE(pair.remaps().empty());
}

TEST(Command, LongWorkEndsWhenNobodyWaitsForIt) {
    TestPair pair({.main_size = 64ull << 20, .spare_size = 128ull << 20});
    pair.format();
    pair.open();
    const ParameterTable parameters(*pair.disk);
    unsigned asked = 0;
    const CommandAnswer answer =
        execute_command({*pair.disk, parameters, false}, *parse("remap 100 100000"),
                        [&asked] { return ++asked == 2; });
    EXPECT_EQ(answer.error, ECANCELED);
    EXPECT_EQ(asked, 2u);
    const std::string words = "interrupted before sector ";
    ASSERT_TRUE(answer.sentence.starts_with(words)) << answer.sentence;
    const std::uint64_t sector = std::stoull(answer.sentence.substr(words.size()));
    EXPECT_LT(sector, 100100u);
    EXPECT_EQ(pair.disk->status().active_mappings, sector / 8 - 12);
}

// What a full spare cannot take is not read from a disk that may die of it.
TEST(Command, ARemapEndsWhereTheSpareIsFull) {
    CommandedPair pair({.main_size = 256ull << 20, .spare_size = 8ull << 20});
    const std::uint64_t slots = pair.disk->status().slots;
    std::atomic<std::uint64_t> reads{0};
    pair.main->set_hook([&reads](const Call& call) {
        reads += call.op == Op::read ? 1 : 0;
        return Medium::kPass;
    });
    const CommandAnswer answer = pair.say("remap 0 524288");
    EXPECT_EQ(answer.error, ENOSPC);
    EXPECT_EQ(pair.disk->status().active_mappings, slots);
    EXPECT_NE(answer.text.find("changed_blocks " + std::to_string(slots)), std::string::npos);
    EXPECT_LE(reads, slots + 2 * 4096) << "it was read on";
}

TEST(Command, SetAndItsParameters) {
    CommandedPair pair;
    EXPECT_EQ(pair.say("set read_retries 5").text, "read_retries 5\n");
    EXPECT_EQ(pair.disk->parameters().read_retries, 5u);
    EXPECT_EQ(pair.say("set remap_on_read_error off").text, "remap_on_read_error N\n");
    EXPECT_FALSE(pair.disk->parameters().remap_on_read_error);
    for (const char* yes : {"Y", "y", "1", "on"})
        EXPECT_EQ(pair.say(std::string("set remap_on_read_error ") + yes).error, 0);
    for (const char* bad : {"", "21", "-1", "x", "5x", "0x5", "1 2", "99999999999"}) {
        const CommandAnswer answer = pair.say(std::string("set read_retries ") + bad);
        EXPECT_EQ(answer.error, EINVAL) << bad;
        EXPECT_EQ(answer.sentence,
                  std::string("read_retries takes a number from 0 to 20, not \"") + bad + "\"");
    }
    EXPECT_EQ(pair.say("set remap_on_read_error yes\x01").sentence,
              "remap_on_read_error takes Y or N, not \"yes?\"");
    EXPECT_EQ(pair.say("set nonsense 1").error, ENOENT);
    EXPECT_NE(pair.say("set nonsense 1").sentence.find("scan_interval_hours"), std::string::npos);
    EXPECT_EQ(pair.disk->parameters().read_retries, 5u);

    pair.parameters->add({"shown", true, 0, 1, "", [] { return 1u; }});
    EXPECT_EQ(pair.say("set shown N").error, EPERM);
}

TEST(Command, HealthSaysWhatToDo) {
    CommandedPair pair;
    EXPECT_EQ(pair.say("health").text.find("state healthy\ncauses none\n"), 0u);
    EXPECT_TRUE(pair.say("health").text.ends_with("advice none\n"));
    pair.main->set_fault(83, 1, Fault{.read = true});
    ASSERT_EQ(pair.say("remap 80 8").error, 0);
    EXPECT_EQ(pair.say("health").text.find("state degraded\ncauses lost_sectors\n"), 0u);
    EXPECT_NE(pair.say("health").text.find("\nadvice run salvage"), std::string::npos);
}

TEST(Command, ShortMessages) {
    CommandedPair pair;
    EXPECT_EQ(pair.say("help").text, command_help());
    EXPECT_TRUE(pair.say("status").text.starts_with("0 8192 dm-remap-v4 v4.0-real "));
    read_sectors(*pair.disk, 0, 8);
    EXPECT_NE(pair.say("stats").text.find("\nread_completed 1\n"), std::string::npos);
    EXPECT_EQ(pair.say("clear_stats").error, 0);
    EXPECT_NE(pair.say("stats").text.find("\nread_completed 0\n"), std::string::npos);
    EXPECT_EQ(pair.say("scan pause").error, ENOENT);
    EXPECT_EQ(pair.say("scan start 8192 1").error, EINVAL);
    EXPECT_EQ(pair.say("scan stop").text, "scan 0/8192 0 - 0 idle\n");
    EXPECT_TRUE(pair.say("scan start").text.starts_with("scan "));
}

}  // namespace dmremap::test
