// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/state_board.h"

#include <gtest/gtest.h>

#include <thread>

namespace dmremap {
namespace {

struct Board {
    std::vector<Event> events;
    StateBoard board{[this](const Event& event) { events.push_back(event); }};
};

TEST(StateBoard, TheStateIsTheWorstOfItsCauses) {
    Board b;
    EXPECT_EQ(b.board.state(), State::healthy);
    b.board.raise(State::degraded, "lost_sectors", "some");
    EXPECT_EQ(b.board.state(), State::degraded);
    b.board.raise(State::failed, "breaker", "gone");
    b.board.raise(State::read_only, "commit_failed", "no");
    EXPECT_EQ(b.board.state(), State::failed);
    b.board.clear("breaker");
    EXPECT_EQ(b.board.state(), State::read_only);
    b.board.clear("commit_failed");
    b.board.clear("lost_sectors");
    EXPECT_EQ(b.board.state(), State::healthy);
    EXPECT_TRUE(b.board.causes().empty());
}

// A failed disk is not for that reason read-only: main may come back. A read-only cause holds
// whatever is worse beside it.
TEST(StateBoard, OnlyAReadOnlyCauseForbidsChanges) {
    Board b;
    b.board.raise(State::failed, "breaker", "");
    EXPECT_TRUE(b.board.writable());
    b.board.raise(State::read_only, "flush_failed", "");
    EXPECT_FALSE(b.board.writable());
    EXPECT_EQ(b.board.state(), State::failed);
    b.board.clear("flush_failed");
    EXPECT_TRUE(b.board.writable());
}

TEST(StateBoard, ACauseRaisedAgainChangesItsTextAndState) {
    Board b;
    b.board.raise(State::degraded, "spare_low", "9 free");
    b.board.raise(State::degraded, "spare_low", "8 free");
    ASSERT_EQ(b.board.causes().size(), 1u);
    EXPECT_EQ(b.board.causes()[0].text, "8 free");
    EXPECT_EQ(b.events.size(), 1u) << "the state did not change";
    b.board.raise(State::read_only, "spare_low", "none");
    EXPECT_EQ(b.board.causes().size(), 1u);
    EXPECT_EQ(b.board.state(), State::read_only);
    EXPECT_TRUE(b.board.active("spare_low"));
    EXPECT_FALSE(b.board.active("spare"));
}

TEST(StateBoard, EachChangeOfTheStateIsAnEvent) {
    Board b;
    b.board.raise(State::degraded, "lost_sectors", "");
    b.board.raise(State::degraded, "spare_low", "");
    b.board.raise(State::read_only, "flush_failed", "");
    b.board.clear("nothing of that name");
    b.board.clear("flush_failed");
    b.board.clear("spare_low");
    b.board.clear("lost_sectors");
    std::vector<std::string> texts;
    for (const Event& event : b.events) {
        EXPECT_EQ(event.kind, EventKind::state_changed);
        texts.push_back(event.text);
    }
    EXPECT_EQ(texts, (std::vector<std::string>{
                         "healthy -> degraded: lost_sectors",
                         "degraded -> read_only: lost_sectors spare_low flush_failed",
                         "read_only -> degraded: lost_sectors spare_low",
                         "degraded -> healthy: no cause left",
                     }));
}

TEST(StateBoard, WithoutAListenerNothingIsReported) {
    StateBoard board(nullptr);
    board.raise(State::failed, "breaker", "");
    board.report(EventKind::bad_slot, 5);
    EXPECT_EQ(board.state(), State::failed);
}

// What has no memory for the news does not keep the state from being right.
TEST(StateBoard, AListenerWithoutMemoryMissesTheEvent) {
    StateBoard board([](const Event&) { throw std::bad_alloc(); });
    board.raise(State::read_only, "commit_failed", "an entry could not be committed");
    board.report(EventKind::commit_failed, 8);
    EXPECT_EQ(board.state(), State::read_only);
    EXPECT_FALSE(board.writable());
    ASSERT_EQ(board.causes().size(), 1u);
    EXPECT_EQ(board.causes()[0].name, "commit_failed");
}

TEST(StateBoard, PutsATextTogether) {
    Board b;
    const std::string name = "/dev/sdb";
    b.board.report(EventKind::recovered, 0, 0, name, ": ", 3u, " of ", std::uint64_t{1} << 40);
    ASSERT_EQ(b.events.size(), 1u);
    EXPECT_EQ(b.events[0].text, "/dev/sdb: 3 of 1099511627776");
}

TEST(StateBoard, AnyThreadMayRaiseAndAsk) {
    StateBoard board(nullptr);
    std::vector<std::thread> threads;
    for (const char* const name : {"cause0", "cause1", "cause2", "cause3"}) {
        threads.emplace_back([&board, name] {
            for (unsigned i = 0; i < 500; i++) {
                board.raise(State::degraded, name, "");
                EXPECT_TRUE(board.active(name));
                EXPECT_EQ(board.state(), State::degraded);
                board.clear(name);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(board.state(), State::healthy);
}

}  // namespace
}  // namespace dmremap
