// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/gates.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <set>
#include <thread>

#include "core/engine/runs.h"

namespace dmremap {
namespace {

std::vector<Piece*> chain(Piece* first) {
    std::vector<Piece*> pieces;
    for (; first != nullptr; first = first->next) {
        pieces.push_back(first);
    }
    return pieces;
}

TEST(Gates, ARegionHasOneGateAndNeighboursHaveOthers) {
    EXPECT_EQ(gate_of(0), gate_of(kRegionSize - 1));
    std::set<unsigned> gates;
    for (std::uint64_t region = 0; region < 64; region++) {
        ASSERT_LT(gate_of(region * kRegionSize), kGates);
        gates.insert(gate_of(region * kRegionSize));
    }
    EXPECT_EQ(gates.size(), 64u);
    for (unsigned shift = 0; shift < 40; shift++) {
        EXPECT_LT(gate_of(kRegionSize << shift), kGates);
    }
}

TEST(Gates, AClosedGateLetsNobodyIn) {
    Gates gates([] {});
    EXPECT_TRUE(gates.enter(3));
    EXPECT_TRUE(gates.enter(3));
    gates.leave(3);
    gates.leave(3);
    gates.close(3);
    EXPECT_FALSE(gates.enter(3));
    EXPECT_TRUE(gates.enter(4)) << "another gate";
    EXPECT_TRUE(gates.empty(3)) << "a refused try leaves nothing behind";
    EXPECT_FALSE(gates.empty(4)) << "not closed";
    EXPECT_EQ(gates.open(3), nullptr);
    EXPECT_TRUE(gates.enter(3));
}

TEST(Gates, TheLastOneOutOfAClosedGateIsTold) {
    unsigned told = 0;
    Gates gates([&] { told++; });
    gates.enter(7);
    gates.enter(7);
    gates.leave(7);
    EXPECT_EQ(told, 0u) << "open";
    gates.enter(7);
    gates.close(7);
    EXPECT_FALSE(gates.empty(7));
    gates.leave(7);
    EXPECT_EQ(told, 0u) << "one is still inside";
    gates.leave(7);
    EXPECT_EQ(told, 1u);
    EXPECT_TRUE(gates.empty(7));
}

TEST(Gates, TheParkedComeBackInOrder) {
    Gates gates([] {});
    Piece a, b, c;
    EXPECT_FALSE(gates.park(5, a)) << "open: try again";
    gates.close(5);
    EXPECT_TRUE(gates.park(5, a));
    EXPECT_TRUE(gates.park(5, b));
    EXPECT_TRUE(gates.park(5, c));
    EXPECT_EQ(chain(gates.open(5)), (std::vector<Piece*>{&a, &b, &c}));
    EXPECT_FALSE(gates.park(5, a));
    gates.close(5);
    EXPECT_TRUE(gates.park(5, b));
    EXPECT_EQ(chain(gates.open(5)), std::vector<Piece*>{&b}) << "nobody twice";
}

// Many go in and out, one closes, changes what they read, and opens: nobody sees half a change and
// nobody is left behind. Under the thread sanitizer this is also the proof of the memory order.
TEST(Gates, BehindAClosedGateOneIsAlone) {
    constexpr unsigned kThreads = 4, kEntries = 4000, kChanges = 300, kGate = 11;
    std::mutex mutex;
    std::condition_variable changed;
    bool drained = false;
    Gates gates([&] {
        const std::lock_guard lock(mutex);
        drained = true;
        changed.notify_all();
    });
    std::uint64_t left = 0, right = 0;  // guarded by the gate alone; always equal behind it
    struct Comer {
        Piece piece;
        unsigned entries = 0;
        bool resumed = false;
    };
    std::vector<Comer> comers(kThreads);
    std::atomic<unsigned> torn{0}, finished{0};
    const auto come = [&](Comer& comer) {
        while (comer.entries < kEntries) {
            if (gates.enter(kGate)) {
                torn += left == right ? 0 : 1;
                comer.entries++;
                gates.leave(kGate);
            } else if (gates.park(kGate, comer.piece)) {
                std::unique_lock lock(mutex);
                changed.wait(lock, [&] { return comer.resumed; });
                comer.resumed = false;
            }
        }
        finished++;
    };
    std::vector<std::thread> threads;
    for (Comer& comer : comers) {
        comer.piece.disk = &comer;
        threads.emplace_back(come, std::ref(comer));
    }
    for (unsigned i = 0; i < kChanges; i++) {
        gates.close(kGate);
        {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return gates.empty(kGate) || drained; });
            while (!gates.empty(kGate)) {
                drained = false;
                changed.wait(lock, [&] { return drained; });
            }
            drained = false;
        }
        left++;
        right++;
        const std::vector<Piece*> parked = chain(gates.open(kGate));
        const std::lock_guard lock(mutex);
        for (Piece* piece : parked) {
            static_cast<Comer*>(piece->disk)->resumed = true;
        }
        changed.notify_all();
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(torn, 0u);
    EXPECT_EQ(finished, kThreads);
    EXPECT_EQ(left, kChanges);
}

}  // namespace
}  // namespace dmremap
