// SPDX-License-Identifier: GPL-2.0-or-later
// The power goes off at each call of a pass in turn, while its cursor is saved at every chance.
// What was not flushed is then lost or kept by chance. Whatever is left, the cursor has passed no
// bad block that is not relocated, a pass that had begun goes on by itself, and it finds the rest.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "core/engine/gates.h"
#include "tests/promises/crash.h"

namespace dmremap::test {
namespace {

// Under ThreadSanitizer all of them would take minutes.
#ifdef __SANITIZE_THREAD__
constexpr std::uint64_t kStep = 13;
#else
constexpr std::uint64_t kStep = 1;
#endif

// Blocks that cannot be read: three of bad_pair(), and some in the second region.
constexpr std::uint64_t kUnreadable[] = {20, 30, 40, 256, 300, 511};

struct Life {
    Life() : pair(bad_pair(Shape{.main_size = 2 * kRegionSize})) {
        pair->plan->apply("main bad read 2048\nmain bad read 2401+3\nmain bad read 4095\n");
        // An earlier time is never asked for: each look is half a minute later.
        options.clock.steady = [this] { return seconds += 31; };
    }
    bool relocated(std::uint64_t block) const { return pair->remap_of(block).has_value(); }

    std::unique_ptr<TestPair> pair;
    std::atomic<std::uint64_t> seconds{0};
    OpenOptions options;
    Ledger ledger;
};

// True: it came to its end before the power went off.
bool scan_until_cut(Life& life, std::uint64_t call) {
    TestPair& pair = *life.pair;
    pair.power->cut_at(call);
    pair.disk->scan(ScanOrder::start);
    while (!pair.power->off() && !pair.saw(EventKind::scan_ended))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return !pair.power->off();
}

void expect_resumed(Life& life) {
    TestPair& pair = *life.pair;
    const dmr_superblock sb = pair.superblock();
    const bool begun = dmr_le32(sb.scan_state) == DMR_SCAN_RUNNING;
    const bool over = dmr_le64(sb.scan_passes) != 0;
    const std::uint64_t cursor = dmr_le64(sb.scan_cursor);
    const std::size_t ended = pair.count(EventKind::scan_ended);
    const std::size_t begins = pair.count(EventKind::scan_started);
    pair.open(life.options);
    if (begun) {
        ASSERT_TRUE(pair.wait_for(EventKind::scan_started, begins + 1)) << "by itself";
    }
    for (const std::uint64_t block : kUnreadable) {
        EXPECT_TRUE(life.relocated(block) || !(over || (begun && cursor > block)))
            << "the cursor passed block " << block;
    }
    if (!begun && !over) {
        ASSERT_EQ(pair.disk->scan(ScanOrder::start), 0);
    }
    if (!over) {
        ASSERT_TRUE(pair.wait_for(EventKind::scan_ended, ended + 1));
    }
    EXPECT_EQ(pair.disk->status().scan.passes, 1u);
    for (const std::uint64_t block : kUnreadable) EXPECT_TRUE(life.relocated(block)) << block;
    expect_ledger(pair, life.ledger);
}

TEST(ScanCrash, P3_APowerCutAtAnyCallOfAPassIsResumed) {
    std::uint64_t begun = 0;
    bool ended = false;
    for (std::uint64_t call = 1; !ended; call += kStep) {
        SCOPED_TRACE(call);
        Life life;
        life.pair->open(life.options);
        ASSERT_TRUE(history(*life.pair, life.ledger));
        ended = scan_until_cut(life, call);
        std::mt19937_64 chance(call);
        life.pair->crash(&chance);
        begun += dmr_le32(life.pair->superblock().scan_state) == DMR_SCAN_RUNNING ? 1 : 0;
        expect_resumed(life);
        if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    EXPECT_GT(begun, 3u) << "otherwise nothing was tried";
    RecordProperty("resumed", std::to_string(begun));
}

}  // namespace
}  // namespace dmremap::test
