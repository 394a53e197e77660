// SPDX-License-Identifier: GPL-2.0-or-later
// The language of fault plans: what is understood, what is refused, and what describe() says.
#include "core/device/fault_plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "core/device/fault_rules.h"
#include "core/refusal.h"

namespace dmremap {
namespace {

std::string described(const std::string& text) { return FaultPlan::parse(text)->describe(); }

std::string refusal(const std::string& text) {
    try {
        FaultPlan::parse(text);
    } catch (const Refusal& r) {
        EXPECT_EQ(r.kind(), RefusalKind::usage) << text;
        return r.what();
    }
    return "";
}

TEST(FaultPlan, AnEmptyTextHasNoRules) {
    for (const char* text : {"", "\n", "\n\n", "# nothing\n", "   \t # here\r\n \n", "clear"}) {
        const auto plan = FaultPlan::parse(text);
        EXPECT_EQ(plan->describe(), "");
        EXPECT_FALSE(plan->has_rules(FaultRole::main));
        EXPECT_FALSE(plan->has_rules(FaultRole::spare));
    }
}

TEST(FaultPlan, DescribesEachLineAsItWasWritten) {
    for (const char* line : {
             "main bad read 2048",
             "main bad read 2048+8",
             "main bad read * heals",
             "main bad read 0 error=ENODATA times=3 heals",
             "spare bad write 0+18014398509481983",
             "spare bad write 7 error=ENOSPC times=4611686018427387904 torn=0 garble",
             "main slow read 5+6 1",
             "main slow write * 600000",
             "main fail read 1",
             "main fail write 7+",
             "main fail flush 9+2 error=ETIMEDOUT",
             "main fail any 4611686018427387904+ torn=3 garble",
             "main vanish",
             "spare vanish after 12",
         }) {
        EXPECT_EQ(described(line), std::string(line) + "\n");
        EXPECT_EQ(described(std::string(" \t") + line + "  # why\r\n"), std::string(line) + "\n");
    }
}

TEST(FaultPlan, WritesShortFormsOut) {
    EXPECT_EQ(described("* bad all 8 times=2 heals torn=1"),
              "main bad read 8 times=2 heals\nmain bad write 8 times=2 torn=1\n"
              "spare bad read 8 times=2 heals\nspare bad write 8 times=2 torn=1\n");
    EXPECT_EQ(described("* vanish"), "main vanish\nspare vanish\n");
    EXPECT_EQ(described("main fail read 3+1 error=EIO"), "main fail read 3\n");
    EXPECT_EQ(described("main bad read 1\nmain bad read 3\nmain bad read 2+1"),
              "main bad read 1+3\n");
    EXPECT_EQ(described("main slow all 0+18014398509481984 7"),
              "main slow read * 7\nmain slow write * 7\n");
}

TEST(FaultPlan, KnowsEveryErrorByName) {
    const struct {
        const char* name;
        int number;
    } errors[] = {
        {"EIO", EIO},
        {"ENODATA", ENODATA},
        {"EILSEQ", EILSEQ},
        {"EREMOTEIO", EREMOTEIO},
        {"ETIMEDOUT", ETIMEDOUT},
        {"ENOSPC", ENOSPC},
        {"EDQUOT", EDQUOT},
        {"EFBIG", EFBIG},
        {"ENOMEM", ENOMEM},
        {"EAGAIN", EAGAIN},
        {"EBUSY", EBUSY},
        {"ENODEV", ENODEV},
        {"ENXIO", ENXIO},
        {"ENOLINK", ENOLINK},
        {"EROFS", EROFS},
        {"EOPNOTSUPP", EOPNOTSUPP},
        {"EINVAL", EINVAL},
    };
    for (const auto& [name, number] : errors) {
        const std::string line = std::string("main bad read 4 error=") + name;
        const auto plan = FaultPlan::parse(line);
        FaultCall call{.op = Op::read, .first = 4, .end = 5, .unit = 1};
        EXPECT_EQ(plan->judge(FaultRole::main, call).error, number) << name;
        EXPECT_EQ(described(plan->describe()), plan->describe());
    }
}

TEST(FaultPlan, ALaterLineReplacesAnEarlierOneWhereTheyMeet) {
    EXPECT_EQ(described("main bad read 10+10\nmain bad read 12+2 error=ENODATA"),
              "main bad read 10+2\nmain bad read 12+2 error=ENODATA\nmain bad read 14+6\n");
    EXPECT_EQ(described("main slow read 10+10 5\nmain slow read 15+10 6"),
              "main slow read 10+5 5\nmain slow read 15+10 6\n");
}

TEST(FaultPlan, TakesRulesBack) {
    const auto plan =
        FaultPlan::parse("* bad all 100+10\n* slow all 100+10 5\n* fail read 3+\n* vanish after 9");
    plan->apply("heal main 102+6\nmain return");
    EXPECT_EQ(plan->describe().substr(0, plan->describe().find("spare")),
              "main bad read 100+2\nmain bad read 108+2\n"
              "main bad write 100+2\nmain bad write 108+2\n"
              "main slow read 100+2 5\nmain slow read 108+2 5\n"
              "main slow write 100+2 5\nmain slow write 108+2 5\nmain fail read 3+\n");
    plan->apply("clear main");
    EXPECT_FALSE(plan->has_rules(FaultRole::main));
    EXPECT_TRUE(plan->has_rules(FaultRole::spare));
    plan->apply("spare clear");
    EXPECT_EQ(plan->describe(), "");
    plan->apply("* vanish\nmain bad read 3");
    plan->apply("clear");
    EXPECT_EQ(plan->describe(), "");
    EXPECT_FALSE(plan->has_rules(FaultRole::spare));
}

TEST(FaultPlan, TheVerbMayComeFirst) {
    EXPECT_EQ(described("bad main read 5\nvanish * after 3"),
              "main bad read 5\nmain vanish after 3\nspare vanish after 3\n");
}

TEST(FaultPlan, RefusalsNameTheLineTheWordAndWhatWasExpected) {
    EXPECT_EQ(refusal("# plan\n\nmain bad read 11+0\n"),
              "Fault rules, line 3: found \"11+0\" where a count of sectors (1 to "
              "18014398509481973) was expected");
    EXPECT_EQ(refusal("disk bad read 11"),
              "Fault rules, line 1: found \"disk\" where main, spare or * was expected");
    EXPECT_EQ(refusal("main break read 11"),
              "Fault rules, line 1: found \"break\" where bad, slow, fail, vanish, return, heal or "
              "clear was expected");
    EXPECT_EQ(refusal("main bad read"),
              "Fault rules, line 1: found the end of the line where SECTOR, SECTOR+COUNT or * was "
              "expected");
    EXPECT_EQ(refusal("spare fail flush 3 heals"),
              "Fault rules, line 1: found \"heals\" where error=NAME or the end of the line was "
              "expected");
    EXPECT_EQ(refusal("main clear now"),
              "Fault rules, line 1: found \"now\" where the end of the line was expected");
    // Nothing that a terminal would obey, and not a page of it.
    EXPECT_EQ(refusal(std::string("main \x1b[2J\0", 10) + std::string(100, 'x')),
              "Fault rules, line 1: found \"?[2J?" + std::string(35, 'x') +
                  "...\" where bad, slow, fail, vanish, return, heal or clear was expected");
}

const std::vector<std::string>& bad_lines() {
    static const std::vector<std::string> lines{
        "main",
        "*",
        "bad",
        "heal",
        "vanish",
        "main main",
        "main spare bad read 3",
        "bad bad main",
        "MAIN bad read 3",
        "main,spare bad read 3",
        "main Bad read 3",
        "main bad",
        "main bad 3",
        "main bad flush 3",
        "main bad any 3",
        "main bad discard 3",
        "main bad read",
        "main bad read # 3",
        "main bad read -1",
        "main bad read +1",
        "main bad read +",
        "main bad read 1+",
        "main bad read 1++2",
        "main bad read 1+2+3",
        "main bad read 1+-2",
        "main bad read 1 +2",
        "main bad read 1+0",
        "main bad read 0x10",
        "main bad read 1e3",
        "main bad read 1.5",
        "main bad read 1-5",
        "main bad read **",
        "main bad read *+1",
        "main bad read 0+*",
        "main bad read 18014398509481984",
        "main bad read 18014398509481983+2",
        "main bad read 1+18014398509481984",
        "main bad read 18446744073709551615",
        "main bad read 18446744073709551616",
        "main bad read 18446744073709551616+1",
        "main bad read 1+18446744073709551615",
        "main bad read 99999999999999999999999999999999",
        "main bad read 3 4",
        "main bad read 3 error",
        "main bad read 3 error=",
        "main bad read 3 error=5",
        "main bad read 3 error=eio",
        "main bad read 3 error=EWHAT",
        "main bad read 3 error=EIO error=EIO",
        "main bad read 3 error=EIO,times=1",
        "main bad read 3 error = EIO",
        "main bad read 3 times",
        "main bad read 3 times=",
        "main bad read 3 times=0",
        "main bad read 3 times=-1",
        "main bad read 3 times=4611686018427387905",
        "main bad read 3 times=18446744073709551617",
        "main bad read 3 heals heals",
        "main bad read 3 heals=1",
        "main bad read 3 heal",
        "main bad read 3 garble",
        "main bad read 3 torn=1",
        "main bad read 3 =",
        "main bad read 3 =5",
        "main bad write 3 heals",
        "main bad write 3 torn",
        "main bad write 3 torn=",
        "main bad write 3 torn=-1",
        "main bad write 3 torn=18014398509481985",
        "main bad write 3 garble=1",
        "main bad all 3 all",
        "main slow",
        "main slow read",
        "main slow read 3",
        "main slow read 3 0",
        "main slow read 3 600001",
        "main slow read 3 4294967297",
        "main slow read 3 5ms",
        "main slow read 3 5 5",
        "main slow flush 3 5",
        "main slow 3 5",
        "main fail",
        "main fail read",
        "main fail all 3",
        "main fail zero 3",
        "main fail discard 3",
        "main fail read 0",
        "main fail read 0+",
        "main fail read +",
        "main fail read 3+0",
        "main fail read 3+2+",
        "main fail read *",
        "main fail read 4611686018427387905",
        "main fail read 3+4611686018427387905",
        "main fail read 3 times=2",
        "main fail read 3 heals",
        "main fail read 3 torn=1",
        "main fail flush 3 garble",
        "main vanish now",
        "main vanish 3",
        "main vanish after",
        "main vanish after 0",
        "main vanish after x",
        "main vanish after 3 4",
        "main return now",
        "main heal",
        "main heal 3+0",
        "main heal 3 4",
        "main clear all",
        "clear main spare",
        "clear all",
        std::string("main\0bad read 3", 15),
        std::string("main bad read 3\0", 16),
        "\xEF\xBB\xBFmain bad read 3",
        "main bad read \xC2\xA0 3",
        std::string(100000, 'a'),
        "main bad read " + std::string(100000, '9'),
    };
    return lines;
}

TEST(FaultPlan, P8BadLinesAreRefusedAndNothingIsApplied) {
    const std::string before = "main bad read 5\nspare vanish after 7\n";
    for (const std::string& line : bad_lines()) {
        const auto plan = FaultPlan::parse(before);
        try {
            plan->apply("main clear\n* bad all 1+9\n" + line + "\nspare clear\n");
            ADD_FAILURE() << "accepted: " << line.substr(0, 80);
        } catch (const Refusal& r) {
            EXPECT_EQ(r.kind(), RefusalKind::usage);
            const std::string text = r.what();
            EXPECT_EQ(text.find("Fault rules, line 3: found "), 0U) << text;
            EXPECT_NE(text.find(" was expected"), std::string::npos) << text;
            EXPECT_LT(text.size(), 400U);
        }
        EXPECT_EQ(plan->describe(), before) << line.substr(0, 80);
    }
}

TEST(FaultPlan, P8MutatedTextIsRefusedOrRoundTrips) {
    const std::string seed_text =
        "main bad read 2048+8 error=ENODATA times=3 heals\n* bad all 9 garble torn=2\n"
        "spare slow write * 25 # slow\nmain fail any 3+ error=EIO\nspare fail flush 3+2\n"
        "* vanish after 4\nmain return\nheal main 5+1\nclear spare\nspare bad write 7 garble\n";
    const std::string alphabet =
        "0123456789+*#= \n\tabehlmnprstvEIO\x80\xff" + std::string(1, '\0');
    std::mt19937_64 random(20240517);
    unsigned accepted = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        std::string text = seed_text;
        for (auto changes = 1 + random() % 3; changes > 0; --changes) {
            const std::size_t at = random() % text.size();
            const char c = alphabet[random() % alphabet.size()];
            switch (random() % 3) {
                case 0:
                    text[at] = c;
                    break;
                case 1:
                    text.insert(at, 1, c);
                    break;
                default:
                    text.erase(at, 1 + random() % 5);
            }
        }
        try {
            const std::string once = described(text);
            ASSERT_EQ(described(once), once) << "round " << round << "\n" << text;
            ++accepted;
        } catch (const Refusal& r) {
            ASSERT_EQ(r.kind(), RefusalKind::usage);
        }
    }
    EXPECT_GT(accepted, 500U);
    EXPECT_LT(accepted, 19000U);
}

TEST(FaultPlan, DescribesWhatIsLeftOfTheCounts) {
    const auto plan = FaultPlan::parse(
        "main bad read 8+4 times=3\nmain fail write 3+2\nmain fail flush 2+\nmain vanish after "
        "9\n");
    const auto judge = [&](Op op, std::uint64_t first, std::uint64_t end) {
        return plan->judge(FaultRole::main, {.op = op, .first = first, .end = end, .unit = 1})
            .error;
    };
    EXPECT_EQ(judge(Op::read, 9, 11), EIO);
    EXPECT_EQ(judge(Op::write, 0, 1), 0);
    EXPECT_EQ(judge(Op::flush, 0, 0), 0);
    EXPECT_EQ(judge(Op::flush, 0, 0), EIO);
    EXPECT_EQ(plan->describe(),
              "main bad read 8 times=3\nmain bad read 9+2 times=2\nmain bad read 11 times=3\n"
              "main fail write 2+2\nmain fail flush 1+\nmain vanish after 5\n");
    EXPECT_EQ(judge(Op::write, 0, 1), 0);
    EXPECT_EQ(judge(Op::write, 0, 1), EIO);
    EXPECT_NE(plan->describe().find("main fail write 1\n"), std::string::npos);
    EXPECT_EQ(judge(Op::write, 0, 1), EIO);
    EXPECT_EQ(plan->describe().find("main fail write"), std::string::npos);
    EXPECT_EQ(judge(Op::read, 0, 1), 0);
    EXPECT_EQ(judge(Op::read, 0, 1), 0);
    EXPECT_EQ(judge(Op::read, 0, 1), ENODEV);
    EXPECT_NE(plan->describe().find("main vanish\n"), std::string::npos);
}

TEST(FaultPlan, DelaysByTheSlowestSector) {
    const auto plan = FaultPlan::parse("main slow read 10+5 30\nmain slow all 12 70\n");
    const auto delay = [&](Op op, std::uint64_t first, std::uint64_t end) {
        return plan->judge(FaultRole::main, {.op = op, .first = first, .end = end, .unit = 1})
            .delay_ms;
    };
    EXPECT_EQ(delay(Op::read, 8, 10), 0U);
    EXPECT_EQ(delay(Op::read, 8, 11), 30U);
    EXPECT_EQ(delay(Op::read, 8, 20), 70U);
    EXPECT_EQ(delay(Op::write, 8, 12), 0U);
    EXPECT_EQ(delay(Op::zero, 12, 13), 70U);
    EXPECT_EQ(delay(Op::discard, 8, 20), 0U);
    EXPECT_EQ(delay(Op::flush, 0, 0), 0U);
}

TEST(FaultPlan, AMillionBadSectorsAreFoundFast) {
    FaultPlan plan;
    for (std::uint64_t i = 0; i < 1'000'000; ++i) plan.fail_reads(FaultRole::main, i * 16 + 3, 1);
    // Were each look-up a walk, these would take an hour.
    std::mt19937_64 random(7);
    for (unsigned i = 0; i < 50'000; ++i) {
        const std::uint64_t group = random() % 1'000'000 * 16;
        const auto error = [&](std::uint64_t first, std::uint64_t end) {
            return plan
                .judge(FaultRole::main,
                       {.op = Op::read, .first = group + first, .end = group + end, .unit = 1})
                .error;
        };
        ASSERT_EQ(error(0, 3), 0);
        ASSERT_EQ(error(2, 5), EIO);
        ASSERT_EQ(error(4, 16), 0);
    }
}

TEST(FaultPlan, LoadsAFileAndNamesItInRefusals) {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("fault_plan_test." + std::to_string(getpid())))
            .string();
    const auto kind = [&] {
        try {
            FaultPlan::load(path);
        } catch (const Refusal& r) {
            EXPECT_NE(std::string(r.what()).find(path), std::string::npos) << r.what();
            return r.kind();
        }
        ADD_FAILURE() << "loaded";
        return RefusalKind::refused;
    };
    EXPECT_EQ(kind(), RefusalKind::not_found);
    std::filesystem::create_directory(path);
    EXPECT_EQ(kind(), RefusalKind::usage);
    std::filesystem::remove(path);
    std::ofstream(path) << "# two\nmain vanish\nspare bad write 3+4";
    EXPECT_EQ(FaultPlan::load(path)->describe(), "main vanish\nspare bad write 3+4\n");
    std::ofstream(path) << "main vanish\nspare bad write 3+4x";
    EXPECT_EQ(kind(), RefusalKind::usage);
    std::filesystem::remove(path);
}

TEST(FaultPlan, TheExamplesOfTheManualAreUnderstood) {
    std::ifstream manual(DMREMAP_SOURCE_DIR "/core/device/FAULTS.md");
    ASSERT_TRUE(manual);
    bool in_examples = false, in_block = false;
    unsigned blocks = 0;
    std::string block;
    for (std::string line; std::getline(manual, line);) {
        if (line == "## Examples") in_examples = true;
        if (line != "```") {
            if (in_block) block += line + "\n";
            continue;
        }
        in_block = !in_block;
        if (in_block || !in_examples) {
            block.clear();
            continue;
        }
        EXPECT_NE(described(block), "") << block;
        ++blocks;
    }
    EXPECT_EQ(blocks, 4U);
}

TEST(FaultPlan, MethodsSayTheSameAsLines) {
    FaultPlan plan;
    FaultOptions options;
    options.error = ENODATA;
    options.heals = true;
    plan.fail_reads(FaultRole::main, 8, 8, options);
    plan.fail_writes(FaultRole::spare, 3, 1, {.garble = true});
    plan.slow(FaultRole::main, 5, 2, 40);
    plan.fail_call(FaultRole::main, Op::flush, 4);
    plan.fail_call(FaultRole::main, Op::zero, 2, 0);
    plan.fail_any_call(FaultRole::spare, 6, 3, {.torn = 1});
    plan.vanish(FaultRole::spare, 5);
    plan.heal(FaultRole::main, 15, 9);
    EXPECT_EQ(plan.describe(),
              "main bad read 8+7 error=ENODATA heals\nmain slow read 5+2 40\n"
              "main slow write 5+2 40\nmain fail flush 4\nmain fail write 2+\n"
              "spare bad write 3 garble\nspare fail any 6+3 torn=1\nspare vanish after 5\n");
    plan.come_back(FaultRole::spare);
    plan.clear(FaultRole::main);
    EXPECT_EQ(plan.describe(), "spare bad write 3 garble\nspare fail any 6+3 torn=1\n");
}

}  // namespace
}  // namespace dmremap
