// SPDX-License-Identifier: GPL-2.0-or-later
// Parameters that change while a disk is open, its counters cleared, and one remap looked up.
#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/parameter_rules.h"
#include "core/refusal.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {

namespace {

const ParameterRule& rule(const std::string& name) {
    for (const ParameterRule& rule : parameter_rules())
        if (name == rule.name) return rule;
    throw std::out_of_range(name);
}

// Whether these threads wait, as the kernel says (proc_pid_stat(5)): each twice, for one may have
// waited for another that was just about to.
template <typename Ids>
bool all_asleep(const Ids& ids) {
    for (int round = 0; round < 2; round++)
        for (const pid_t id : ids) {
            std::ifstream stat("/proc/self/task/" + std::to_string(id) + "/stat");
            std::string line;
            std::getline(stat, line);
            const auto name_end = line.rfind(") ");
            if (name_end == std::string::npos || line.compare(name_end + 2, 1, "S") != 0)
                return false;
        }
    return true;
}

struct OpenPair : TestPair {
    OpenPair() {
        fill_main(1);
        format();
        open();
    }
};

}  // namespace

TEST(Promises, P2_EveryParameterSurvivesAPowerCut) {
    OpenPair pair;
    for (const ParameterRule& rule : parameter_rules()) {
        const std::uint32_t value =
            rule.get(pair.disk->parameters()) == rule.most ? rule.least : rule.most;
        EXPECT_EQ(pair.disk->set_parameter(rule, value), 0) << rule.name;
        EXPECT_EQ(rule.get(pair.disk->parameters()), value) << rule.name;
        pair.crash();
        pair.open();
        EXPECT_EQ(rule.get(pair.disk->parameters()), value) << rule.name;
    }
    pair.reopen();
    EXPECT_EQ(rule("read_retries").get(pair.disk->parameters()), kReadRetriesMax);
}

TEST(Promises, P8_AParameterOutOfItsRangeIsRefused) {
    OpenPair pair;
    for (const ParameterRule& rule : parameter_rules()) {
        const std::uint32_t before = rule.get(pair.disk->parameters());
        EXPECT_EQ(pair.disk->set_parameter(rule, rule.most + 1), EINVAL) << rule.name;
        if (rule.least != 0) {
            EXPECT_EQ(pair.disk->set_parameter(rule, rule.least - 1), EINVAL) << rule.name;
        }
        EXPECT_EQ(rule.get(pair.disk->parameters()), before) << rule.name;
    }
    EXPECT_EQ(pair.disk->close(), 0);
    EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), 1), ENODEV);
    pair.close();
    OpenOptions options;
    options.read_only = true;
    pair.open(options);
    EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), 1), EROFS);
    EXPECT_EQ(rule("read_retries").get(pair.disk->parameters()), Parameters().read_retries);
}

TEST(Promises, P2_AParameterThatCannotBeFlushedIsAnErrorAndTheDiskReadOnly) {
    OpenPair pair;
    pair.spare->set_hook(
        [](const Call& call) { return call.op == Op::flush ? EIO : Medium::kPass; });
    EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), 7), EIO);
    pair.spare->set_hook(nullptr);
    EXPECT_EQ(pair.disk->status().state, State::read_only);
    EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), 8), EROFS);
}

// It is in force, and so looks as wanted; but it must not be called durable before it is.
TEST(Promises, P2_AParameterThatWasNotWrittenIsWrittenWhenItIsSetAgain) {
    OpenPair pair;
    pair.spare->set_hook(
        [](const Call& call) { return call.op == Op::write ? EIO : Medium::kPass; });
    EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), 7), EIO);
    EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), 7), EIO);
    pair.spare->set_hook(nullptr);
    EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), 7), 0);
    pair.crash();
    pair.open();
    EXPECT_EQ(pair.disk->parameters().read_retries, 7u);
}

// Each change costs a flush; who sends one after the other keeps no failed request waiting. The
// spare is so slow that all the others wait with a change whenever a change is under way.
TEST(Promises, P5_ChangesOfParametersDoNotHoldUpHealing) {
    OpenPair pair;
    pair.main->set_fault(80, 1, Fault{.read = true});
    constexpr unsigned kSetters = 4;
    std::array<std::atomic<pid_t>, kSetters> setter_ids{};
    std::atomic<bool> enough{false};
    pair.spare->set_hook([&](const Call& call) {
        while (call.op == Op::flush && !enough && !all_asleep(setter_ids))
            std::this_thread::yield();
        return Medium::kPass;
    });
    std::vector<std::thread> setters;
    for (std::uint32_t i = 0; i < kSetters; i++)
        setters.emplace_back([&, i] {
            setter_ids[i] = static_cast<pid_t>(::syscall(SYS_gettid));
            for (std::uint32_t value = i; !enough; value++)
                EXPECT_EQ(pair.disk->set_parameter(rule("scan_interval_hours"), value % 100 + 1),
                          0);
        });
    // Ends only when the healer comes to it.
    read_sectors(*pair.disk, 80, 1, EIO);
    enough = true;
    for (std::thread& setter : setters) setter.join();
    EXPECT_EQ(pair.remaps().size(), 1u);
}

TEST(Promises, P5_AParameterIsInForceAtOnce) {
    OpenPair pair;
    pair.main->set_fault(80, 1, Fault{.read = true});
    ASSERT_EQ(pair.disk->set_parameter(rule("remap_on_read_error"), 0), 0);
    read_sectors(*pair.disk, 80, 8, EIO);
    EXPECT_TRUE(pair.remaps().empty());
    ASSERT_EQ(pair.disk->set_parameter(rule("remap_on_read_error"), 1), 0);
    read_sectors(*pair.disk, 80, 8, EIO);
    EXPECT_EQ(pair.remaps().size(), 1u);
}

// While I/O runs, from several threads, with the table growing and changing: the superblock has one
// owner. ThreadSanitizer watches.
TEST(Promises, P2_ParametersChangeWhileBlocksMove) {
    OpenPair pair;
    std::thread mover([&] {
        for (int i = 0; i < 3; i++) {
            EXPECT_EQ(pair.disk->remap(0, pair.sectors()).error, 0);
            EXPECT_EQ(pair.disk->unmap(0, pair.sectors()).error, 0);
        }
    });
    std::thread setter([&] {
        for (std::uint32_t i = 1; i <= 40; i++)
            EXPECT_EQ(pair.disk->set_parameter(rule("scan_interval_hours"), i), 0);
    });
    for (std::uint32_t i = 1; i <= 40; i++)
        EXPECT_EQ(pair.disk->set_parameter(rule("read_retries"), i % 20), 0);
    setter.join();
    mover.join();
    pair.crash();
    pair.open();
    EXPECT_EQ(pair.disk->parameters().scan_interval_hours, 40u);
    EXPECT_EQ(pair.disk->parameters().read_retries, 0u);
    EXPECT_EQ(read_sectors(*pair.disk, 0, 64), pattern(0, 64, 1));
}

TEST(Mistakes, M11_ClearedCountersBeginAgainAndCountOn) {
    OpenPair pair;
    pair.main->set_fault(80, 1, Fault{.write = true});
    ASSERT_EQ(write_sectors(*pair.disk, 80, 8, 2), 0);
    read_sectors(*pair.disk, 80, 8);
    DiskStatus status = pair.disk->status();
    EXPECT_EQ(status.totals.remaps, 1u);
    EXPECT_GE(status.totals.main_errors, 2u);
    EXPECT_EQ(status.totals.main_failed[static_cast<unsigned>(Op::write)],
              status.totals.main_errors);
    pair.disk->clear_stats();
    status = pair.disk->status();
    EXPECT_EQ(status.totals.remaps + status.totals.remaps_by_reason[DMR_REASON_WRITE], 0u);
    EXPECT_EQ(status.totals.main_errors + status.totals.commits + status.totals.device_flushes, 0u);
    EXPECT_EQ(status.totals.of(Op::read).completed + status.totals.of(Op::write).time_ns, 0u);
    EXPECT_EQ(status.totals.of(Op::read).percentile_ns(0.5), 0u);
    EXPECT_EQ(status.active_mappings, 1u);
    read_sectors(*pair.disk, 80, 8);
    EXPECT_EQ(pair.disk->status().totals.of(Op::read).completed, 1u);
    EXPECT_EQ(pair.disk->status().totals.of(Op::read).bytes, 4096u);
}

// Updates of the superblock fail over and over, and each of them lands on one copy all the same.
// That copy cannot be read by the next opener, and can later: it must not bring back what it says,
// which would hide that main was changed.
TEST(Promises, P7_UpdatesThatFailedDoNotHideAChangedMain) {
    for (const unsigned attempts : {1u, 14u, 32u, 60u}) {
        SCOPED_TRACE(attempts);
        OpenPair pair;
        pair.plan->apply(
            "spare bad write 128+8 torn=8 error=ETIMEDOUT\n"
            "spare bad write 4096+8 error=ETIMEDOUT\n");
        for (unsigned i = 0; i < attempts; i++) {
            EXPECT_NE(pair.disk->set_parameter(rule("scan_speed_max"), 100 + i), 0);
        }
        // Told after an order's end, so the fourteenth may be answered before.
        if (attempts != 14) {
            EXPECT_EQ(pair.has_cause("superblock_unwritable"), attempts > 14);
        }
        pair.crash();
        pair.plan->apply("clear spare\nspare bad all 128+8\n");
        pair.open();
        pair.close();
        pair.plan->apply("clear spare\n");
        pair.fill_main(7);  // behind its back
        try {
            pair.open();
            ADD_FAILURE() << "the changed main was not noticed";
        } catch (const Refusal& refusal) {
            EXPECT_NE(std::string(refusal.what()).find("was written while detached"),
                      std::string::npos)
                << refusal.what();
        }
    }
}

TEST(Promises, P1_ARemapIsFoundByAnyOfItsSectors) {
    OpenPair pair;
    ASSERT_EQ(pair.disk->remap(80, 1).changed, 1u);
    for (const std::uint64_t sector : {80u, 83u, 87u}) {
        const auto found = pair.disk->find_remap(sector);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->sector, 80u);
        EXPECT_EQ(found->slot, pair.remap_of(10)->slot);
        EXPECT_EQ(found->spare_sector, pair.remap_of(10)->spare_sector);
        EXPECT_EQ(found->reason, DMR_REASON_MANUAL);
    }
    EXPECT_FALSE(pair.disk->find_remap(79));
    EXPECT_FALSE(pair.disk->find_remap(88));
    EXPECT_FALSE(pair.disk->find_remap(~std::uint64_t{0}));
}

}  // namespace dmremap::test
