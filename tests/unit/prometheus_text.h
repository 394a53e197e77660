// SPDX-License-Identifier: GPL-2.0-or-later
// Prometheus' text format, read more strictly than any scraper does: what the format forbids, what
// promtool's linter objects to, and what node_exporter's textfile collector refuses. Of the kinds
// only those we write: counter, gauge, summary.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace dmremap::test {

struct PrometheusText {
    // By name and labels, these in the order of the text: up{a="x",b="y"}.
    std::map<std::string, double> samples;
    // "LINE: what is wrong", in the order found; empty for a text without fault.
    std::vector<std::string> faults;

    std::string str() const;  // the faults, a line each
};

PrometheusText read_prometheus(const std::string& text);

}  // namespace dmremap::test
