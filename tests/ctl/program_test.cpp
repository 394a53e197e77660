// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/program.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "ctl/verb.h"

namespace dmremap::ctl {
namespace {

struct Result {
    int code;
    std::string out, err;
};

Result call(const std::vector<std::string>& words) {
    std::ostringstream out, err;
    const int code = run_program(words, out, err);
    return {code, out.str(), err.str()};
}

TEST(Program, HelpNamesEveryVerbAndGoesToTheRightPlace) {
    const Result help = call({"--help"});
    EXPECT_EQ(help.code, 0);
    for (const Verb* verb : all_verbs())
        EXPECT_NE(help.out.find(verb->name), std::string::npos) << verb->name;
    EXPECT_EQ(help.err, "");

    const Result nothing = call({});
    EXPECT_EQ(nothing.code, 2);
    EXPECT_EQ(nothing.out, "");
    EXPECT_EQ(nothing.err, help.out);
}

TEST(Program, EveryVerbHasHelpAndIsInTheManual) {
    std::ifstream file(DMREMAP_SOURCE_DIR "/ctl/dmremapctl.8");
    const std::string manual{std::istreambuf_iterator<char>(file),
                             std::istreambuf_iterator<char>()};
    for (const Verb* verb : all_verbs()) {
        const Result help = call({std::string(verb->name), "--help"});
        EXPECT_EQ(help.code, 0);
        EXPECT_NE(help.out.find(verb->usage), std::string::npos) << verb->name;
        EXPECT_NE(help.out.find("--json"), std::string::npos) << verb->name;
        EXPECT_NE(manual.find(".SS " + std::string(verb->name) + "\n"), std::string::npos)
            << verb->name;
    }
}

TEST(Program, Version) {
    const Result version = call({"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_EQ(version.out, "dmremapctl " DMREMAP_PROGRAM_VERSION "\n");
}

TEST(Program, WrongWordsAreUsageErrors) {
    const std::vector<std::vector<std::string>> wrong = {
        {"frobnicate"},
        {"--json", "list"},
        {"examine"},
        {"examine", "a", "b"},
        {"examine", ""},
        {"examine", "--operand", "a"},
        {"examine", "--%original_token%", "a"},
        {"examine", "---%canonical_option%", "a"},
        {"list", "--jso"},
        {"format", "--main", "a"},
        {"format", "--main", "a", "--main", "b", "--spare", "c"},
        {"format", "--main", "a", "--spare", "b", "--destroy"},
    };
    for (const auto& words : wrong) {
        const Result result = call(words);
        EXPECT_EQ(result.code, 2) << words[0] << ": " << result.err;
        EXPECT_TRUE(result.err.starts_with("dmremapctl: ")) << result.err;
        EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    }
    EXPECT_EQ(call({"check"}).code, 16);
    EXPECT_EQ(call({"check", "--force", "a"}).code, 16);
}

TEST(Program, ErrorsAreJsonToo) {
    const Result result = call({"examine", "--json", "/nonexistent/spare"});
    EXPECT_EQ(result.code, 3);
    const Json json = Json::parse(result.out);
    EXPECT_EQ(json["error"]["kind"], "not_found");
    EXPECT_EQ("dmremapctl: " + json["error"]["message"].get<std::string>() + "\n", result.err);

    EXPECT_EQ(Json::parse(call({"check", "--json"}).out)["error"]["kind"], "usage");
    EXPECT_EQ(call({"check", "/nonexistent/spare"}).code, 8);
}

TEST(Program, AMissingSpareSaysHowToMakeOne) {
    const Result result = call({"format", "--main", "/dev/null", "--spare", "/nonexistent/a b"});
    EXPECT_EQ(result.code, 3);
    EXPECT_NE(result.err.find("truncate -s 1G '/nonexistent/a b'"), std::string::npos)
        << result.err;
}

TEST(Program, ANameWithoutSlashIsADeviceMapperName) {
    const Result result = call({"status", "remap0"});
    EXPECT_EQ(result.code, 3);
    EXPECT_NE(result.err.find("no such target"), std::string::npos) << result.err;
}

TEST(Program, AnAnswerThatCannotBeWrittenIsAnError) {
    std::ostringstream err;
    std::ofstream full("/dev/full");
    EXPECT_EQ(run_program({"--help"}, full, err), 1);
    EXPECT_NE(err.str().find("could not be written"), std::string::npos);
}

}  // namespace
}  // namespace dmremap::ctl
