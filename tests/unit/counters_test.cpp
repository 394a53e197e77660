// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/counters.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace dmremap {
namespace {

TEST(Counters, EveryLatencyLiesInItsBucket) {
    std::vector<std::uint64_t> times{0, 1, 2, 3, 4, ~std::uint64_t{0}};
    for (unsigned bit = 2; bit < 64; bit++) {
        for (std::uint64_t quarter = 4; quarter < 8; quarter++) {
            const std::uint64_t bound = quarter << (bit - 2);
            times.insert(times.end(), {bound - 1, bound, bound + 1});
        }
    }
    for (const std::uint64_t ns : times) {
        const unsigned bucket = latency_bucket(ns);
        ASSERT_LT(bucket, kLatencyBuckets);
        EXPECT_LE(latency_bucket_floor(bucket), ns);
        EXPECT_EQ(latency_bucket(latency_bucket_floor(bucket)), bucket) << ns;
        EXPECT_LE(ns - latency_bucket_floor(bucket), ns / 4) << "more than a quarter off";
        if (ns != ~std::uint64_t{0}) {
            EXPECT_GE(latency_bucket(ns + 1), bucket);
        }
    }
    for (unsigned bucket = 1; bucket < kLatencyBuckets; bucket++) {
        EXPECT_GE(latency_bucket_floor(bucket), latency_bucket_floor(bucket - 1));
    }
    EXPECT_EQ(latency_bucket(4), 8u);
    EXPECT_EQ(latency_bucket(7), 11u);
    EXPECT_EQ(latency_bucket(8), 12u);
    EXPECT_EQ(latency_bucket(~std::uint64_t{0}), 255u);
}

TEST(Counters, Percentiles) {
    OpTotals totals;
    EXPECT_EQ(totals.percentile_ns(0.5), 0u);
    totals.latency[latency_bucket(1000)] = 90;
    totals.latency[latency_bucket(50000)] = 9;
    totals.latency[latency_bucket(1000000)] = 1;
    const auto top_of = [](std::uint64_t ns) {
        const std::uint64_t top = latency_bucket_floor(latency_bucket(ns) + 1) - 1;
        EXPECT_GE(top, ns) << "a percentile below the least that was measured";
        EXPECT_LE(top, ns + ns / 4);
        return top;
    };
    EXPECT_EQ(totals.percentile_ns(0.001), top_of(1000));
    EXPECT_EQ(totals.percentile_ns(0.5), top_of(1000));
    EXPECT_EQ(totals.percentile_ns(0.9), top_of(1000));
    EXPECT_EQ(totals.percentile_ns(0.91), top_of(50000));
    EXPECT_EQ(totals.percentile_ns(0.99), top_of(50000));
    EXPECT_EQ(totals.percentile_ns(1.0), top_of(1000000));
    totals.latency[kLatencyBuckets - 1] = 1000;
    EXPECT_EQ(totals.percentile_ns(0.99), UINT64_MAX);
}

TEST(Counters, RequestsAndCallsAreCounted) {
    Counters counters;
    counters.request_done(Op::read, 4096, true, 100);
    counters.request_done(Op::read, 512, true, 300);
    counters.request_done(Op::read, 512, false, 50);
    counters.request_done(Op::flush, 0, true, 7);
    counters.main_call(Op::read, true);
    counters.main_call(Op::read, false);
    counters.main_call(Op::write, true);
    counters.main_call(Op::flush, true);
    counters.spare_call(Op::flush, false);
    counters.spare_call(Op::write, true);
    const Totals totals = counters.totals();
    const OpTotals& reads = totals.of(Op::read);
    EXPECT_EQ(reads.completed, 3u);
    EXPECT_EQ(reads.failed, 1u);
    EXPECT_EQ(reads.bytes, 4608u);
    EXPECT_EQ(reads.time_ns, 450u);
    EXPECT_EQ(reads.latency[latency_bucket(300)], 1u);
    EXPECT_EQ(totals.of(Op::flush).completed, 1u);
    EXPECT_EQ(totals.of(Op::write).completed, 0u);
    EXPECT_EQ(totals.main_errors, 1u);
    EXPECT_EQ(totals.spare_errors, 1u);
    EXPECT_EQ(totals.device_flushes, 2u);
    EXPECT_EQ(counters.main_successes(Op::read), 1u);
    EXPECT_EQ(counters.main_successes(Op::write), 1u);
    EXPECT_EQ(counters.main_successes(Op::zero), 0u);
}

TEST(Counters, WhatThreadsCountedStaysWhenTheyEnd) {
    Counters counters;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; t++) {
        threads.emplace_back([&counters] {
            for (unsigned i = 0; i < 1000; i++) {
                counters.request_done(Op::write, 512, true, i);
                counters.totals();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(counters.totals().of(Op::write).completed, 4000u);
    EXPECT_EQ(counters.totals().of(Op::write).bytes, 4000u * 512);
}

}  // namespace
}  // namespace dmremap
