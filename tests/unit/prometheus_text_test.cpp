// SPDX-License-Identifier: GPL-2.0-or-later
// The strict reader itself: a text without fault, and each fault it is there to find, alone.
#include "tests/unit/prometheus_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dmremap::test {

namespace {

constexpr const char* kGood =
    "# HELP a_total Things, \\\\ and \\n.\n"
    "# TYPE a_total counter\n"
    "a_total{x=\"1\",y=\"a\\\"b\\\\c\\nd, }\"} 3\n"
    "a_total{x=\"2\"} 1.5e+3\n"
    "# HELP b Some.\n"
    "# TYPE b gauge\n"
    "b -7\n"
    "b{x=\"\"} NaN\n"
    "b{x=\"u\"} +Inf\n"
    "b{x=\"d\"} -Inf\n"
    "# HELP c_seconds Times.\n"
    "# TYPE c_seconds summary\n"
    "c_seconds{quantile=\"0.5\"} NaN\n"
    "c_seconds{quantile=\"1\"} 2\n"
    "c_seconds_sum 5\n"
    "c_seconds_count 9\n";

std::string counter(const std::string& samples) {
    return "# HELP a_total Things.\n# TYPE a_total counter\n" + samples;
}
std::string gauge(const std::string& samples) {
    return "# HELP b Some.\n# TYPE b gauge\n" + samples;
}
std::string summary(const std::string& samples) {
    return "# HELP c Times.\n# TYPE c summary\n" + samples;
}

struct Bad {
    const char* fault;  // a part of what is said
    std::string text;
};

}  // namespace

TEST(PrometheusText, AFaultlessTextIsRead) {
    const PrometheusText read = read_prometheus(kGood);
    EXPECT_EQ(read.str(), "");
    EXPECT_EQ(read.samples.size(), 10u);
    EXPECT_EQ(read.samples.at("a_total{x=\"2\"}"), 1500);
    EXPECT_EQ(read.samples.at("a_total{x=\"1\",y=\"a\\\"b\\\\c\\nd, }\"}"), 3);
    EXPECT_EQ(read.samples.at("b"), -7);
    EXPECT_TRUE(std::isnan(read.samples.at("b{x=\"\"}")));
    EXPECT_EQ(read.samples.at("b{x=\"u\"}"), HUGE_VAL);
    EXPECT_EQ(read_prometheus("").faults.size(), 1u);
}

TEST(PrometheusText, EachFaultIsFound) {
    const Bad all[] = {
        // Lines.
        {"no end", counter("a_total 1")},
        {"neither HELP", counter("a_total 1\n\n")},
        {"neither HELP", counter("a_total 1\n# a comment\n")},
        {"printable", counter("a_total{x=\"\xc3\xa0\"} 1\n")},
        {"printable", counter("a_total 1\r\n")},
        // HELP and TYPE.
        {"outside of its family", "a_total 1\n"},
        {"outside of its family", "# HELP a_total Things.\na_total 1\n"},
        {"no TYPE", "# HELP a_total Things.\na_total 1\n"},
        {"TYPE without its HELP", "# TYPE a_total counter\na_total 1\n"},
        {"TYPE without its HELP", "# HELP b Some.\n# TYPE a_total counter\na_total 1\n"},
        {"TYPE without its HELP",
         counter("a_total 1\n# TYPE a_total counter\na_total{x=\"1\"} 1\n")},
        {"comes twice", counter("a_total 1\n") + counter("a_total{x=\"1\"} 1\n")},
        {"no sample", counter("") + gauge("b 1\n")},
        {"no sample", gauge("")},
        {"no help", "# HELP b \n# TYPE b gauge\nb 1\n"},
        {"no help", "# HELP b\n# TYPE b gauge\nb 1\n"},
        {"bad escape", "# HELP b A \\t.\n# TYPE b gauge\nb 1\n"},
        {"no sentence", "# HELP b Some\n# TYPE b gauge\nb 1\n"},
        {"unknown kind", "# HELP b Some.\n# TYPE b histogram\nb 1\n"},
        {"unknown kind", "# HELP b Some.\n# TYPE b Gauge\nb 1\n"},
        {"unknown kind", "# HELP b Some.\n# TYPE b\nb 1\n"},
        // Names and units.
        {"bad name", "# HELP B Some.\n# TYPE B gauge\nB 1\n"},
        {"bad name", "# HELP b-b Some.\n# TYPE b-b gauge\nb-b 1\n"},
        {"bad name", "# HELP 2b Some.\n# TYPE 2b gauge\n2b 1\n"},
        {"bad name", gauge("b 1\n{x=\"1\"} 1\n")},
        {"end in _total", "# HELP b Some.\n# TYPE b counter\nb 1\n"},
        {"end in _total", "# HELP b_total Some.\n# TYPE b_total gauge\nb_total 1\n"},
        {"no base unit", "# HELP b_ms Some.\n# TYPE b_ms gauge\nb_ms 1\n"},
        // Families.
        {"outside of its family", counter("b 1\na_total 1\n")},
        {"outside of its family", counter("a_total 1\n") + gauge("b 1\na_total{x=\"1\"} 1\n")},
        {"outside of its family", counter("a_total 1\na_total_count 1\n")},
        // Labels.
        {"bad label", gauge("b{} 1\n")},
        {"bad label", gauge("b{x=\"1\",} 1\n")},
        {"bad label", gauge("b{x=\"1\", y=\"2\"} 1\n")},
        {"bad label", gauge("b{x=1} 1\n")},
        {"bad label", gauge("b{x='1'} 1\n")},
        {"bad label", gauge("b{2x=\"1\"} 1\n")},
        {"bad label", gauge("b{x-y=\"1\"} 1\n")},
        {"bad label", gauge("b{x=\"a\\tb\"} 1\n")},
        {"bad label", gauge("b{x=\"a\\\"} 1\n")},
        {"bad label", gauge("b{x=\"1} 1\n")},
        {"have no end", gauge("b{x=\"a\"b\"} 1\n")},
        {"have no end", gauge("b{x=\"1\" 1\n")},
        {"Prometheus' own", gauge("b{__x=\"1\"} 1\n")},
        {"label comes twice", gauge("b{x=\"1\",x=\"2\"} 1\n")},
        {"series twice", gauge("b 1\nb 2\n")},
        {"series twice", gauge("b{x=\"1\",y=\"2\"} 1\nb{y=\"2\",x=\"1\"} 1\n")},
        // Values.
        {"no blank", gauge("b\n")},
        {"no blank", gauge("b{x=\"1\"}1\n")},
        {"no value", gauge("b \n")},
        {"no value", gauge("b  1\n")},
        {"no value", gauge("b 1 \n")},
        {"no value", gauge("b 1 1700000000\n")},
        {"no value", gauge("b nan\n")},
        {"no value", gauge("b NAN\n")},
        {"no value", gauge("b -nan\n")},
        {"no value", gauge("b Inf\n")},
        {"no value", gauge("b inf\n")},
        {"no value", gauge("b 0x10\n")},
        {"no value", gauge("b 1,5\n")},
        {"no value", gauge("b .5\n")},
        {"no value", gauge("b 1.\n")},
        {"from 0 on", counter("a_total -1\n")},
        {"from 0 on", counter("a_total NaN\n")},
        {"from 0 on", counter("a_total +Inf\n")},
        // Summaries.
        {"from 0 on", summary("c{quantile=\"0.5\"} 1\nc_sum NaN\nc_count 1\n")},
        {"without its _sum", summary("c{quantile=\"0.5\"} 1\nc_sum 1\n")},
        {"without its _sum", summary("c{quantile=\"0.5\"} 1\nc_count 1\n")},
        {"from 0 to 1", summary("c{quantile=\"1.5\"} 1\nc_sum 1\nc_count 1\n")},
        {"from 0 to 1", summary("c{quantile=\"NaN\"} 1\nc_sum 1\nc_count 1\n")},
        {"from 0 to 1", summary("c{quantile=\"half\"} 1\nc_sum 1\nc_count 1\n")},
        {"where none belongs", summary("c 1\nc_sum 1\nc_count 1\n")},
        {"where none belongs",
         summary("c{quantile=\"1\"} 1\nc_sum{quantile=\"1\"} 1\nc_count 1\n")},
        {"where none belongs", gauge("b{quantile=\"0.5\"} 1\n")},
    };
    for (const Bad& bad : all)
        EXPECT_NE(read_prometheus(bad.text).str().find(bad.fault), std::string::npos)
            << bad.text << "found: " << read_prometheus(bad.text).str();
}

}  // namespace dmremap::test
