// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/prometheus_text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <regex>
#include <set>

namespace dmremap::test {

namespace {

using Labels = std::map<std::string, std::string>;

bool matches(const std::string& text, const char* pattern) {
    return std::regex_match(text, std::regex(pattern));
}

// Go's strconv.ParseFloat takes more; nobody needs to write the rest.
std::optional<double> value_in(const std::string& text) {
    if (text == "NaN") return std::nan("");
    if (text == "+Inf") return HUGE_VAL;
    if (text == "-Inf") return -HUGE_VAL;
    if (!matches(text, "-?[0-9]+(\\.[0-9]+)?(e[+-]?[0-9]+)?")) return std::nullopt;
    return std::strtod(text.c_str(), nullptr);
}

class Reader {
public:
    PrometheusText read(const std::string& text) {
        if (!text.ends_with('\n')) fault("the last line has no end");
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            line_ = text.substr(at, end - at);
            at = end + 1;
            read_line();
        }
        end_family();
        return std::move(result_);
    }

private:
    void fault(const std::string& what) { result_.faults.push_back(line_ + ": " + what); }

    void read_line() {
        if (std::any_of(line_.begin(), line_.end(), [](char c) { return c < ' ' || c > '~'; }))
            return fault("a byte that is not printable ASCII");
        if (line_.starts_with("# HELP ")) return read_help(line_.substr(7));
        if (line_.starts_with("# TYPE ")) return read_type(line_.substr(7));
        if (line_.empty() || line_[0] == '#') return fault("neither HELP nor TYPE nor a sample");
        read_sample();
    }

    void read_help(const std::string& rest) {
        end_family();
        const auto blank = std::min(rest.find(' '), rest.size());
        described_ = rest.substr(0, blank);
        const std::string words = rest.substr(std::min(blank + 1, rest.size()));
        if (!families_.insert(described_).second) fault("the family comes twice");
        if (!matches(words, "(?:[^\\\\]|\\\\[\\\\n])+")) fault("no help, or a bad escape in it");
        if (!words.ends_with('.')) fault("the help is no sentence");
    }

    void read_type(const std::string& rest) {
        const auto blank = std::min(rest.find(' '), rest.size());
        const std::string name = rest.substr(0, blank);
        kind_ = rest.substr(std::min(blank + 1, rest.size()));
        if (name != described_ || !family_.empty()) fault("a TYPE without its HELP just before");
        family_ = name;
        if (kind_ != "counter" && kind_ != "gauge" && kind_ != "summary") fault("an unknown kind");
        if (!matches(family_, "[a-z][a-z0-9_]*")) fault("a bad name of a metric");
        if ((kind_ == "counter") != family_.ends_with("_total"))
            fault("counters end in _total, and nothing else does");
        for (const char* unit : {"_ns", "_ms", "_kib", "_sectors_total", "_minutes"})
            if (family_.ends_with(unit)) fault("no base unit");
    }

    // A family is its HELP, its TYPE, and at least one sample.
    void end_family() {
        if (described_.empty() && family_.empty()) return;
        if (family_.empty()) fault("no TYPE of " + described_);
        if (parts_.empty()) fault("no sample of " + described_);
        if (kind_ == "summary" && !(parts_.contains("_sum") && parts_.contains("_count")))
            fault("a summary without its _sum and _count");
        described_.clear();
        family_.clear();
        kind_.clear();
        parts_.clear();
    }

    void read_sample() {
        const std::size_t brace = line_.find('{');
        const std::string name = line_.substr(0, std::min(brace, line_.find(' ')));
        if (!matches(name, "[a-z][a-z0-9_]*")) return fault("a bad name of a metric");
        Labels labels;
        std::size_t at = name.size();
        if (at < line_.size() && line_[at] == '{' && !read_labels(at, labels)) return;
        if (at >= line_.size() || line_[at] != ' ') return fault("no blank before the value");
        const auto value = value_in(line_.substr(at + 1));
        if (!value) return fault("no value, or more than one (a time stamp?)");
        judge_name(name, labels);
        if (kind_ != "gauge" && !labels.contains("quantile") && !(*value >= 0 && *value < HUGE_VAL))
            fault("a count or a sum that is no number from 0 on");
        if (!series_.insert({name, labels}).second) fault("the same series twice");
        result_.samples[line_.substr(0, at)] = *value;
    }

    // From the opening brace to behind the closing one. False: a fault was found.
    bool read_labels(std::size_t& at, Labels& labels) {
        static const std::regex label(
            "([a-zA-Z_][a-zA-Z0-9_]*)=\"((?:[^\"\\\\]|\\\\[\\\\\"n])*)\"");
        do {
            std::smatch match;
            const auto begin = line_.cbegin() + static_cast<std::ptrdiff_t>(++at);
            if (!std::regex_search(begin, line_.cend(), match, label,
                                   std::regex_constants::match_continuous)) {
                fault("a bad label");
                return false;
            }
            if (match[1].str().starts_with("__")) fault("a label of Prometheus' own");
            if (!labels.emplace(match[1], match[2]).second) fault("a label comes twice");
            at += static_cast<std::size_t>(match.length());
        } while (at < line_.size() && line_[at] == ',');
        if (at >= line_.size() || line_[at] != '}') {
            fault("the labels have no end");
            return false;
        }
        at++;
        return true;
    }

    void judge_name(const std::string& name, const Labels& labels) {
        std::string part;
        if (kind_ == "summary")
            for (const char* suffix : {"_sum", "_count"})
                if (name == family_ + suffix) part = suffix;
        if (family_.empty() || name != family_ + part) return fault("outside of its family");
        parts_.insert(part);
        const auto quantile = labels.find("quantile");
        if ((quantile != labels.end()) != (kind_ == "summary" && part.empty()))
            return fault("a quantile where none belongs, or none where one does");
        if (quantile == labels.end()) return;
        const auto share = value_in(quantile->second);
        if (!share || !(*share >= 0 && *share <= 1)) fault("a quantile is from 0 to 1");
    }

    PrometheusText result_;
    std::string line_;
    std::string described_, family_, kind_;  // of the family that is being read
    std::set<std::string> parts_;            // its suffixes seen
    std::set<std::string> families_;
    std::set<std::pair<std::string, Labels>> series_;
};

}  // namespace

std::string PrometheusText::str() const {
    std::string all;
    for (const std::string& fault : faults) all += fault + "\n";
    return all;
}

PrometheusText read_prometheus(const std::string& text) { return Reader().read(text); }

}  // namespace dmremap::test
