// SPDX-License-Identifier: GPL-2.0-or-later
// What an open control file reads: the list of remaps however it is cut, answers to messages at
// the right offset, events as JSON lines, and messages under way when the mount goes.
#include "fuse/control_reading.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <condition_variable>
#include <future>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "fuse/command_runner.h"
#include "fuse/control_handle.h"
#include "fuse/event_history.h"
#include "fuse/event_reading.h"
#include "fuse/remap_listing.h"
#include "fuse/settings.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

namespace {

std::string whole(ControlReading& reading, std::size_t step) {
    std::string text;
    for (std::string part; !(part = reading.read(text.size(), step)).empty(); text += part)
        EXPECT_LE(part.size(), step);
    return text;
}

std::vector<nlohmann::json> events_of(EventHistory& history) {
    std::int64_t last = EventHistory::kBeforeAll;
    std::istringstream lines(history.lines_after(last));
    EXPECT_EQ(last, history.last_id());
    std::vector<nlohmann::json> events;
    for (std::string line; std::getline(lines, line);)
        events.push_back(nlohmann::json::parse(line));
    return events;
}

struct RemappedPair : TestPair {
    RemappedPair() : TestPair({.main_size = 16ull << 20, .spare_size = 32ull << 20}) {
        format();
        open();
        EXPECT_EQ(disk->remap(0, sectors() / 2).refused, 0u);
    }
};

}  // namespace

TEST(RemapListing, ReadsTheSameHoweverItIsCut) {
    RemappedPair pair;
    RemapListing listing(*pair.disk);
    const std::string text = whole(listing, 1 << 20);
    EXPECT_TRUE(text.starts_with("# sector slot spare_sector reason time lost retry\n0 "));
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    for (const RemapInfo& remap : pair.remaps()) {
        ASSERT_TRUE(std::getline(lines, line));
        EXPECT_EQ(line, std::to_string(remap.sector) + " " + std::to_string(remap.slot) + " " +
                            std::to_string(remap.spare_sector) + " manual " +
                            std::to_string(remap.time) + " 0x00 0x00");
    }
    EXPECT_FALSE(std::getline(lines, line));
    for (const std::size_t step : {1000u, 4096u, 33333u}) EXPECT_EQ(whole(listing, step), text);
    std::mt19937_64 chance(7);
    for (int i = 0; i < 500; i++) {
        const std::uint64_t offset = chance() % (text.size() + 100);
        const std::size_t size = chance() % 5000;
        const std::string expected = offset < text.size() ? text.substr(offset, size) : "";
        ASSERT_EQ(RemapListing(*pair.disk).read(offset, size), expected) << offset << " " << size;
        ASSERT_EQ(listing.read(offset, size), expected) << offset << " " << size;
    }
}

TEST(RemapListing, IsAsTheDiskWasWhenItWasOpened) {
    RemappedPair pair;
    RemapListing listing(*pair.disk);
    const std::string begin = listing.read(0, 100);
    ASSERT_EQ(pair.disk->unmap(0, pair.sectors()).refused, 0u);
    const std::string text = whole(listing, 4096);
    EXPECT_EQ(text.substr(0, 100), begin);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1 + 2048);
    RemapListing after(*pair.disk);
    EXPECT_EQ(std::count_if(begin.begin(), begin.end(), [](char c) { return c == '#'; }), 1);
    EXPECT_EQ(whole(after, 4096), "# sector slot spare_sector reason time lost retry\n");
}

TEST(ControlHandle, ReadingAtZeroTakesANewPicture) {
    std::uint64_t version = 1;
    ControlHandle handle([&version] {
        return std::make_unique<TextReading>("picture " + std::to_string(version) + "\n", version);
    });
    EXPECT_TRUE(handle.changed(version)) << "not read yet";
    EXPECT_EQ(handle.read(0, 4), "pict");
    version = 2;
    EXPECT_EQ(handle.read(4, 100), "ure 1\n");
    EXPECT_TRUE(handle.changed(version));
    EXPECT_EQ(handle.read(0, 100), "picture 2\n");
    EXPECT_FALSE(handle.changed(version));
}

TEST(ControlHandle, AnAnswerBeginsWhereTheWriteEnded) {
    ControlHandle handle([] { return std::make_unique<TextReading>("before\n"); });
    EXPECT_EQ(handle.read(0, 100), "before\n");
    handle.answer("the answer\n", 9, true);
    EXPECT_EQ(handle.read(9, 3), "the");
    EXPECT_EQ(handle.read(12, 100), " answer\n");
    EXPECT_EQ(handle.read(20, 100), "");
    EXPECT_EQ(handle.read(0, 3), "the");
    EXPECT_EQ(handle.read(3, 100), " answer\n");
    EXPECT_EQ(handle.read(UINT64_MAX, 100), "");
}

TEST(ControlHandle, FromTheBeginningAFileThatHasASayOfItsOwnReadsAsThat) {
    ControlHandle handle([] { return std::make_unique<TextReading>("7\n", 1); });
    handle.answer("the answer\n", 2, false);
    EXPECT_EQ(handle.read(2, 3), "the");
    EXPECT_EQ(handle.read(5, 100), " answer\n");
    EXPECT_EQ(handle.read(0, 100), "7\n");
    EXPECT_EQ(handle.read(2, 100), "") << "the answer has been passed over";
    EXPECT_FALSE(handle.changed(1));
}

TEST(EventHistory, ARangeMovedByHandIsOneEvent) {
    EventHistory history;
    history.add({EventKind::opened, 0, 0, "clean"});
    for (unsigned i = 0; i < 5000; i++)
        history.add({EventKind::remapped, 80 + i * 8, 0, "by hand"});
    history.add({EventKind::remapped, 80 + 5000 * 8, 0, "read error"});
    history.add({EventKind::unmapped, 80 + 5001 * 8, 0, "read error"});
    history.add({EventKind::lost, 80 + 5002 * 8, 1, ""});
    history.add({EventKind::lost, 80 + 5003 * 8, 1, ""});
    const std::vector<nlohmann::json> events = events_of(history);
    ASSERT_EQ(events.size(), 6u);
    EXPECT_EQ(events[1]["sector"], 80);
    EXPECT_EQ(events[1]["blocks"], 5000);
    EXPECT_EQ(events[2]["text"], "read error");
    EXPECT_FALSE(events[2].contains("blocks"));
}

// What somebody has read changes no more: who follows would miss it.
TEST(EventHistory, WhatWasReadTakesNoMoreBlocks) {
    EventHistory history;
    history.add({EventKind::remapped, 0, 0, "manual"});
    EXPECT_EQ(events_of(history).size(), 1u);
    history.add({EventKind::remapped, 8, 0, "manual"});
    const auto events = events_of(history);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[1]["sector"], 8);
}

TEST(EventHistory, KeepsTheLastThousandAsJson) {
    EventHistory history;
    for (unsigned i = 0; i < 2500; i++) {
        history.add({EventKind::remapped, i * 16, 0, "read error"});
        const auto last = static_cast<std::int64_t>(i) + 1;
        EXPECT_EQ(history.last_id(), last);
    }
    history.add({EventKind::closed, 77, 0, "\"quoted\" \xff\n"});
    const std::vector<nlohmann::json> events = events_of(history);
    ASSERT_GE(events.size(), 1000u);
    ASSERT_LT(events.size(), 2000u);
    for (std::size_t i = 0; i < events.size(); i++)
        EXPECT_EQ(events[i]["id"], 2501 - events.size() + 1 + i);
    const nlohmann::json& before_last = events[events.size() - 2];
    EXPECT_EQ(before_last["kind"], "remapped");
    EXPECT_EQ(before_last["sector"], 2499 * 16);
    EXPECT_EQ(before_last["text"], "read error");
    EXPECT_FALSE(before_last.contains("count"));
    EXPECT_FALSE(events.back().contains("sector")) << "closing has no sector";
    EXPECT_GT(events.back()["time_unix"], 1600000000);
    EXPECT_LT(events.back()["time_ns"], 1000000000);
}

TEST(EventHistory, RecallsWhatTheTableRemembers) {
    TestPair pair({.main_size = 64ull << 20, .spare_size = 64ull << 20});
    pair.format();
    pair.open();
    // More places than are kept, and one range.
    for (unsigned i = 0; i < 1100; i++) ASSERT_EQ(pair.disk->remap(i * 16, 8).refused, 0u);
    EventHistory history;
    history.add({EventKind::opened, 0, 0, "clean"});
    history.recall(*pair.disk);
    std::vector<nlohmann::json> events = events_of(history);
    ASSERT_EQ(events.size(), 1001u);
    for (std::size_t i = 0; i < events.size(); i++)
        EXPECT_EQ(events[i]["id"], static_cast<int>(i) - 999);
    EXPECT_EQ(events.back()["kind"], "opened");
    EXPECT_EQ(events[0]["kind"], "remapped");
    EXPECT_EQ(events[0]["text"], "manual");
    EXPECT_GT(events[0]["time_unix"], 1600000000);

    ASSERT_EQ(pair.disk->unmap(0, pair.sectors()).refused, 0u);
    ASSERT_EQ(pair.disk->remap(800, 80).refused, 0u);
    EventHistory after;
    after.recall(*pair.disk);
    events = events_of(after);
    ASSERT_GE(events.size(), 1u);  // two if a second began meanwhile
    EXPECT_EQ(events[0]["sector"], 800);
    if (events.size() == 1) {
        EXPECT_EQ(events[0]["blocks"], 10);
    }
}

TEST(EventReading, FollowsBeyondItsEnd) {
    EventHistory history;
    history.add({EventKind::opened, 0, 0, "clean"});
    EventReading reading(history);
    const std::string first = whole(reading, 7);
    EXPECT_EQ(first.size(), history.extent().bytes);
    EXPECT_EQ(reading.version(), static_cast<std::uint64_t>(history.last_id()));
    for (unsigned i = 0; i < 30000; i++) {  // more than is kept, of either
        history.add({EventKind::lost, i * 8, 1, "x"});
        if (i % 100 != 99) continue;
        EXPECT_NE(reading.version(), static_cast<std::uint64_t>(history.last_id()));
    }
    const std::string kept = reading.read(first.size(), 10 << 20);
    EXPECT_NE(kept.find("\"sector\":239992"), std::string::npos);
    std::uint64_t at = first.size() + kept.size();
    for (unsigned i = 0; i < 20000; i++) {
        EXPECT_EQ(reading.read(at, 4096), "");
        history.add({EventKind::lost, i * 8, 1, "y"});
        const std::string line = reading.read(at, 4096);
        const nlohmann::json event = nlohmann::json::parse(line);
        ASSERT_EQ(event["id"], 30002 + static_cast<int>(i));
        ASSERT_EQ(event["sector"], i * 8);
        at += line.size();
    }
}

// The mount goes while a remap hangs on a device: its writer is told at once, once.
TEST(CommandRunner, AbandonedMessagesAreAnsweredOnceAndAtOnce) {
    RemappedPair pair;
    const Settings settings(*pair.disk, false, nullptr);
    std::mutex mutex;
    std::condition_variable changed;
    bool hanging = false, released = false;
    pair.main->set_hook([&](const Call& call) {
        if (call.op == Op::read && call.offset >= 8u << 20) {
            std::unique_lock lock(mutex);
            hanging = true;
            changed.notify_all();
            changed.wait(lock, [&] { return released; });
        }
        return Medium::kPass;
    });
    std::vector<int> answers;
    {
        CommandRunner runner({*pair.disk, settings.parameters(), false});
        const auto note = [&](const CommandAnswer& answer) {
            const std::lock_guard lock(mutex);
            answers.push_back(answer.error);
        };
        runner.run("remap " + std::to_string(pair.sectors() / 2) + " 8", nullptr, note);
        {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return hanging; });
            EXPECT_TRUE(answers.empty());
        }
        runner.run("query 0", nullptr, note);  // does not wait behind it
        EXPECT_EQ(answers, std::vector<int>{0});
        runner.abandon();
        EXPECT_EQ(answers, (std::vector<int>{0, ENODEV}));
        runner.run("salvage", nullptr, note);
        EXPECT_EQ(answers, (std::vector<int>{0, ENODEV, ENODEV}));
        const std::lock_guard lock(mutex);
        released = true;
        changed.notify_all();
    }
    EXPECT_EQ(answers.size(), 3u);
}

TEST(CommandRunner, AnInterruptedWriterGetsItsShare) {
    TestPair pair({.main_size = 64ull << 20, .spare_size = 128ull << 20});
    pair.format();
    pair.open();
    const Settings settings(*pair.disk, false, nullptr);
    std::promise<CommandAnswer> answered;
    CommandRunner runner({*pair.disk, settings.parameters(), false});
    runner.run(
        "remap 0 131072", [] { return true; },
        [&answered](const CommandAnswer& answer) { answered.set_value(answer); });
    const CommandAnswer got = answered.get_future().get();
    EXPECT_EQ(got.error, ECANCELED);
    EXPECT_EQ(got.text, "changed_blocks 8\nunchanged_blocks 0\nrefused_blocks 0\n");
}

TEST(Settings, TheFrontEndsOwnParameters) {
    RemappedPair pair;
    std::vector<std::uint32_t> debug;
    const Settings settings(*pair.disk, true, [&debug](std::uint32_t v) { debug.push_back(v); });
    const ParameterTable& table = settings.parameters();
    std::string why;
    EXPECT_EQ(table.set("dm_remap_debug", "3", why), 0);
    EXPECT_EQ(debug, std::vector<std::uint32_t>{3});
    EXPECT_EQ(table.set("dm_remap_debug", "4", why), EINVAL);
    EXPECT_EQ(table.set("map_width", "7", why), EINVAL);
    EXPECT_EQ(table.set("map_width", "100", why), 0);
    EXPECT_EQ(settings.map_width(), 100u);
    EXPECT_EQ(table.set("real_device_mode", "Y", why), EPERM);
    EXPECT_EQ(parameter_text(*table.find("real_device_mode")), "N");
}

}  // namespace dmremap::test
