// SPDX-License-Identifier: GPL-2.0-or-later
// The cases of a sweep, by name: which are run, and how one of them is run alone.
//
//   DMREMAP_CASE=NAME    only this one
//   DMREMAP_EVERY=N      one of N, drawn by DMREMAP_SEED; 1: all
//   DMREMAP_SECONDS=S    all, and what is drawn by chance goes on for S seconds
// Without any of them a sweep takes as many as it says itself.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/support/long_runs.h"

namespace dmremap::test {

class Cases {
public:
    // `usual_every`: the bounded form takes every so many-th.
    explicit Cases(std::uint64_t usual_every = 1)
        : every_(asked_for_all_ ? 1 : from_environment("DMREMAP_EVERY", usual_every)),
          offset_(from_environment("DMREMAP_SEED", 0)) {
        if (const char* const name = std::getenv("DMREMAP_CASE")) only_ = name;
        if (every_ == 0) every_ = 1;
    }

    bool wanted(const std::string& name) {
        ++seen_;
        const bool yes = only_.empty() ? drawn() : name == only_;
        run_ += yes ? 1 : 0;
        return yes;
    }
    // The case just wanted turned out to change nothing.
    void was_none() { --run_, --seen_; }
    std::uint64_t run() const { return run_; }
    // Nothing is to be left out: all was asked for, or one case that may be any.
    bool all() const { return asked_for_all_ || !only_.empty(); }
    // Prints how many were run, and fails the test when that is none.
    void report(const std::string& what, std::uint64_t openings = 0) const;

    static std::string recipe(const std::string& name) {
        return "\n  replay: DMREMAP_CASE='" + name +
               "' build/bin/sweep_tests --gtest_filter=" + filter();
    }

    // The test that runs now.
    static std::string filter();

private:
    // Mixed, so that no rhythm of the cases goes together with that of the choice.
    bool drawn() const {
        std::uint64_t x = (seen_ + offset_) * 0x9E3779B97F4A7C15ull;
        x = (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9ull;
        return (x ^ (x >> 32)) % every_ == 0;
    }

    const bool asked_for_all_ =
        from_environment("DMREMAP_EVERY", 0) == 1 || std::getenv("DMREMAP_SECONDS") != nullptr;
    std::uint64_t every_;
    std::uint64_t offset_;
    std::string only_;
    std::uint64_t seen_ = 0, run_ = 0;
};

}  // namespace dmremap::test
