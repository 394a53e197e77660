// SPDX-License-Identifier: GPL-2.0-or-later
// The core alone, without FUSE and without a device that takes time: what a request pays for being
// looked up, cut, let through the gate and counted, and how that grows with the number of remaps
// and of injected faults. Google Benchmark; its options apply (--benchmark_filter=...).
//
// Places are drawn from a fixed seed ahead, so that drawing them is not measured.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <random>

#include "core/device/fault_rules.h"
#include "core/disk.h"
#include "core/engine/context.h"
#include "core/engine/counters.h"
#include "core/engine/gates.h"
#include "core/engine/remap_map.h"
#include "core/engine/runs.h"
#include "core/statistics.h"
#include "core/stats.h"
#include "tests/bench/many_remaps.h"

namespace {

using namespace dmremap;

constexpr std::uint64_t kEvery = bench::kEvery;  // one block in so many is remapped

std::uint64_t argument(benchmark::State& state) {
    return static_cast<std::uint64_t>(state.range(0));
}

std::array<std::uint64_t, 4096> places(std::uint64_t below) {
    std::array<std::uint64_t, 4096> drawn;
    std::mt19937_64 rng(5);
    for (std::uint64_t& place : drawn) {
        place = rng() % below;
    }
    return drawn;
}

// Google Benchmark calls a function several times to find how often it must go round; what it works
// on is made once.
template <typename Subject>
Subject& made(std::uint64_t count) {
    static std::unique_ptr<Subject> subject;
    static std::uint64_t has = 0;
    if (!subject || has != count) {
        subject.reset();
        subject = std::make_unique<Subject>(count);
        has = count;
    }
    return *subject;
}

// A mapping of so many blocks, of ten times as many.
struct Mapped : Context {
    explicit Mapped(std::uint64_t remaps) {
        size = std::max<std::uint64_t>(remaps * kEvery, 4096) * DMR_BLOCK_SIZE;
        logical_block = DMR_SECTOR_SIZE;
        map = std::make_unique<RemapMap>(size, remaps + 1);
        map->fill([&](auto&& take) {
            for (std::uint64_t i = 0; i < remaps; i++) {
                Remap remap;
                remap.block = i * kEvery;
                remap.slot = i & Remap::kFenced;
                take(remap);
            }
        });
    }
};

// A device in memory whose table says so.
struct Opened {
    explicit Opened(std::uint64_t remaps)
        : pair(remaps), disk(Disk::open(pair.make_main(), pair.make_spare(), {})) {}

    bench::ManyRemaps pair;
    std::unique_ptr<Disk> disk;
};

// So many bad sectors, one in every other block.
struct Faulty {
    explicit Faulty(std::uint64_t bad) {
        FaultStatement statement;
        statement.verb = FaultVerb::bad;
        statement.main = statement.reads = true;
        statement.count = 1;
        for (std::uint64_t i = 0; i < bad; i++) {
            statement.first = i * 16 + 8;
            rules.apply(statement);
        }
    }

    FaultRules rules;
};

void lookup(benchmark::State& state) {
    const Mapped& disk = made<Mapped>(argument(state));
    const auto blocks = places(disk.size / DMR_BLOCK_SIZE);
    std::size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(disk.map->find(blocks[i++ % blocks.size()]) != nullptr);
    }
}

void filter(benchmark::State& state) {
    const Mapped& disk = made<Mapped>(argument(state));
    const auto blocks = places(disk.size / DMR_BLOCK_SIZE);
    std::size_t i = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(
            disk.map->may_hold_remaps(blocks[i++ % blocks.size()] * DMR_BLOCK_SIZE));
    }
}

void cut(benchmark::State& state, std::uint64_t length) {
    const Mapped& disk = made<Mapped>(argument(state));
    const auto pieces = places(disk.size / length);
    Piece piece;
    piece.op = Op::read;
    piece.length = length;
    std::size_t i = 0;
    for (auto _ : state) {
        piece.offset = pieces[i++ % pieces.size()] * length;
        piece.runs.reset();
        benchmark::DoNotOptimize(cut_into_runs(disk, piece));
    }
}

void gate(benchmark::State& state) {
    static Gates gates([] {});
    const auto regions = places(1 << 20);
    std::size_t i = static_cast<std::size_t>(state.thread_index()) * 97;
    for (auto _ : state) {
        const unsigned at = gate_of(regions[i++ % regions.size()] * kRegionSize);
        benchmark::DoNotOptimize(gates.enter(at));
        gates.leave(at);
    }
}

void count(benchmark::State& state) {
    static Counters counters;
    for (auto _ : state) {
        counters.main_call(Op::read, true);
        counters.request_done(Op::read, DMR_BLOCK_SIZE, true, 12345);
    }
}

// What a reader of control/stats waits for.
void statistics_of(benchmark::State& state) {
    Disk& disk = *made<Opened>(argument(state)).disk;
    for (auto _ : state) {
        benchmark::DoNotOptimize(statistics_text(disk.status()));
    }
}

// A read that no fault concerns, of a device with so many bad sectors.
void faults(benchmark::State& state) {
    const std::uint64_t bad = argument(state);
    FaultRules& rules = made<Faulty>(bad).rules;
    const auto sectors = places(std::max<std::uint64_t>(bad * 16, 16));
    std::size_t i = 0;
    for (auto _ : state) {
        const std::uint64_t first = sectors[i++ % sectors.size()] / 16 * 16;
        benchmark::DoNotOptimize(
            rules.judge(FaultCall{.op = Op::read, .first = first, .end = first + 8}));
    }
}

// The whole way of a read of 4 KiB to a device that answers at once.
void read_4k(benchmark::State& state) {
    Disk& disk = *made<Opened>(argument(state)).disk;
    const auto blocks = places(std::min<std::uint64_t>(disk.size() / DMR_BLOCK_SIZE, 65536));
    alignas(4096) static std::array<std::byte, DMR_BLOCK_SIZE> data;
    std::size_t i = 0;
    for (auto _ : state) {
        if (disk.read(blocks[i++ % blocks.size()] * DMR_BLOCK_SIZE, data.data(), data.size()) !=
            0) {
            state.SkipWithError("a read failed");
        }
    }
}

}  // namespace

BENCHMARK(lookup)->RangeMultiplier(100)->Range(1000, 10'000'000);
BENCHMARK(filter)->Arg(0)->Arg(10'000'000);
BENCHMARK_CAPTURE(cut, 4k, DMR_BLOCK_SIZE)->RangeMultiplier(100)->Range(1000, 10'000'000);
BENCHMARK_CAPTURE(cut, 1m, kRegionSize)->RangeMultiplier(100)->Range(1000, 10'000'000);
BENCHMARK(gate)->ThreadRange(1, 4);
BENCHMARK(count)->ThreadRange(1, 4);
BENCHMARK(statistics_of)->Arg(1)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(read_4k)->Arg(1)->Arg(1'000'000);
BENCHMARK(faults)->RangeMultiplier(100)->Range(1000, 10'000'000);
BENCHMARK_MAIN();
