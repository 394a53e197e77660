// SPDX-License-Identifier: GPL-2.0-or-later
// Everybody at once in the same few blocks: reads and writes of several threads, several in flight
// each, overlapping at will, while sectors go bad and come back, slots go bad, and blocks are
// remapped, unmapped and salvaged by hand, and scanned. Under ThreadSanitizer too.
//
// Proves, of what happened in this run: for every sector one order of all operations explains every
// answer (register_history.h), and every sector that was never unreadable was never EIO. So no
// salvage, move, unmap or read-modify-write carried old data over new, and no read overtook a write
// that had been acknowledged.
// Does not prove: anything about interleavings that did not happen, or about order between sectors.
// The seed gives the same operations, not the same interleaving; a failure prints the sector's
// history.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <random>
#include <semaphore>
#include <sstream>
#include <thread>

#include "tests/property/register_history.h"
#include "tests/support/long_runs.h"
#include "tests/support/pool_device.h"
#include "tests/support/test_pair.h"

namespace dmremap::test {
namespace {

constexpr std::uint64_t kSectors =
    512;  // that are fought for: 64 blocks at the edge of two regions
constexpr std::uint64_t kFirst = 2048 - kSectors / 2;
constexpr unsigned kThreads = 3;
constexpr unsigned kInFlight = 6;  // of each thread

// A sector's bytes say which write they are of; all of them, so that a mixture of two is seen.
void stamp(std::byte* at, std::uint64_t sector, std::uint64_t value) {
    for (std::uint64_t word = 0; word < kSector / 8; ++word) {
        const std::uint64_t bits =
            word == 0 ? value : (value + word * 0x9E3779B97F4A7C15ull) ^ sector << 32;
        std::memcpy(at + word * 8, &bits, 8);
    }
}

struct Operation {
    Request request;
    std::vector<std::byte> data;
    std::uint64_t value = 0;  // of a write
    std::uint64_t start = 0, end = 0;
    int error = 0;
    std::atomic<std::uint64_t>* clock = nullptr;
    std::counting_semaphore<kInFlight>* room = nullptr;
    std::uint64_t first() const { return request.offset / kSector; }
    std::uint64_t count() const { return request.length / kSector; }
};

class Race {
public:
    Race(std::uint64_t seed, const Shape& shape, std::uint64_t operations)
        : rng_(seed), pair_(shape), weak_(pair_.sectors()), operations_(operations) {
        std::vector<std::byte> block(kSector);
        for (std::uint64_t s = 0; s < pair_.sectors(); ++s) {
            stamp(block.data(), s, 0);
            pair_.main->poke(s * kSector, block.data(), kSector);
        }
        pair_.format();
        OpenOptions options;
        pair_.disk = Disk::open(make_pool_device(pair_.main->device(), 3),
                                make_pool_device(pair_.spare->device(), 3), options);
    }

    std::string go() {
        std::vector<std::thread> threads;
        std::atomic<unsigned> running{kThreads};
        for (unsigned t = 0; t < kThreads; ++t) done_.emplace_back(operations_ / kThreads);
        for (unsigned t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t, seed = rng_()] {
                work(done_[t], seed);
                --running;
            });
        }
        // At least so often, however fast the others are.
        for (unsigned n = 0; n < 40 || running != 0; ++n) disturb();
        for (std::thread& thread : threads) thread.join();
        status_ = pair_.disk->status();
        pair_.main->heal_all();
        pair_.spare->heal_all();
        pair_.disk->salvage();
        read_all();
        pair_.close();
        pair_.open();
        read_all();
        return judge();
    }

    const DiskStatus& status() const { return status_; }

private:
    void submit(Operation& operation) {
        operation.clock = &clock_;
        operation.request.data = operation.data.data();
        operation.request.context = &operation;
        operation.request.done = [](Request& request, int error) {
            Operation& self = *static_cast<Operation*>(request.context);
            self.error = error;
            self.end = ++*self.clock;
            if (self.room != nullptr) self.room->release();
        };
        operation.start = ++clock_;
        pair_.disk->submit(operation.request);
    }

    void work(std::vector<Operation>& operations, std::uint64_t seed) {
        std::mt19937_64 rng(seed);
        std::counting_semaphore<kInFlight> room(kInFlight);
        for (Operation& operation : operations) {
            const std::uint64_t count = 1 + rng() % (rng() % 4 == 0 ? 40 : 8);
            const std::uint64_t first = kFirst + rng() % (kSectors - count);
            const auto kind = rng() % 32;
            operation.request.op = kind == 0 ? Op::flush : kind < 16 ? Op::read : Op::write;
            if (kind != 0) {
                operation.request.offset = first * kSector;
                operation.request.length = count * kSector;
                operation.data.resize(count * kSector);
            }
            if (operation.request.op == Op::write) {
                operation.value = ++values_;
                for (std::uint64_t i = 0; i < count; ++i)
                    stamp(operation.data.data() + i * kSector, first + i, operation.value);
            }
            operation.room = &room;
            room.acquire();
            submit(operation);
        }
        for (unsigned i = 0; i < kInFlight; ++i) room.acquire();
    }

    // Faults come and go; blocks go to and fro.
    void disturb() {
        const auto range = [this] {
            return std::pair(kFirst + rng_() % kSectors, 1 + rng_() % 24);
        };
        const auto [sector, count] = range();
        switch (rng_() % 8) {
            case 0: {
                Fault fault;
                fault.read = rng_() % 2 == 0;
                fault.write = !fault.read || rng_() % 2 == 0;
                if (rng_() % 2 == 0) fault.times = 1 + static_cast<unsigned>(rng_() % 6);
                const std::uint64_t bad = 1 + rng_() % 3;
                // Before it can fail for the first time; logical blocks fail as a whole.
                for (std::uint64_t s = sector / 8 * 8; fault.read && s < sector + bad + 8; ++s)
                    weak_[s] = true;
                pair_.main->set_fault(sector, bad, fault);
                break;
            }
            case 1:
                pair_.main->heal_all();
                break;
            case 2: {
                // A slot in use takes no writes any more.
                const auto remaps = pair_.remaps();
                if (!remaps.empty())
                    pair_.spare->set_fault(remaps[rng_() % remaps.size()].spare_sector, 8,
                                           Fault{.write = true});
                break;
            }
            case 3:
                if (rng_() % 2 == 0)
                    pair_.disk->salvage();
                else
                    pair_.disk->scan(ScanOrder::start);  // goes on meanwhile
                break;
            case 4:
            case 5:
                pair_.disk->remap(sector, count);
                break;
            default:
                pair_.disk->unmap(sector, count);
        }
    }

    void read_all() {
        for (std::uint64_t s = kFirst; s < kFirst + kSectors; ++s) {
            last_.push_back(std::make_unique<Operation>());
            Operation& operation = *last_.back();
            operation.request.op = Op::read;
            operation.request.offset = s * kSector;
            operation.request.length = kSector;
            operation.data.resize(kSector);
            operation.start = ++clock_;
            operation.error = pair_.disk->read(s * kSector, operation.data.data(), kSector);
            operation.end = ++clock_;
        }
    }

    std::string judge() {
        std::vector<const Operation*> all;
        for (const auto& list : done_)
            for (const Operation& operation : list) all.push_back(&operation);
        for (const auto& operation : last_) all.push_back(operation.get());
        std::vector<RegisterHistory> histories(kSectors, RegisterHistory(0));
        std::vector<std::byte> expected(kSector);
        for (const Operation* const operation : all) {
            if (operation->request.op == Op::flush) {
                if (operation->error != 0) return "a flush failed";
                continue;
            }
            const std::uint64_t first = operation->first(), end = first + operation->count();
            if (operation->error != 0 && !may_fail(*operation)) return text(*operation);
            for (std::uint64_t s = first; s < end; ++s) {
                RegisterHistory& history = histories[s - kFirst];
                if (operation->request.op == Op::write) {
                    history.wrote(operation->value, operation->start,
                                  operation->error == 0 ? operation->end : RegisterHistory::kNever);
                } else if (operation->error == 0) {
                    const std::byte* const got = operation->data.data() + (s - first) * kSector;
                    std::uint64_t value = 0;
                    std::memcpy(&value, got, 8);
                    stamp(expected.data(), s, value);
                    if (std::memcmp(got, expected.data(), kSector) != 0)
                        return "sector " + std::to_string(s) + " holds no data of any write";
                    history.read(value, operation->start, operation->end);
                }
            }
        }
        for (std::uint64_t i = 0; i < kSectors; ++i)
            if (const std::string problem = histories[i].problem(); !problem.empty())
                return "sector " + std::to_string(kFirst + i) + ": " + problem +
                       history_of(all, kFirst + i);
        return "";
    }

    // Only what touches a logical block that was unreadable at some time.
    bool may_fail(const Operation& operation) const {
        for (std::uint64_t s = operation.first(); s < operation.first() + operation.count(); ++s)
            if (weak_[s]) return operation.error == EIO;
        return false;
    }

    static std::string text(const Operation& operation) {
        std::ostringstream out;
        out << operation.start << " to " << operation.end << ": "
            << (operation.request.op == Op::write ? "write" : "read") << " of " << operation.first()
            << "+" << operation.count() << ": " << strerror(operation.error);
        return out.str();
    }

    static std::string history_of(const std::vector<const Operation*>& all, std::uint64_t sector) {
        std::vector<const Operation*> its;
        for (const Operation* const operation : all)
            if (sector >= operation->first() && sector < operation->first() + operation->count())
                its.push_back(operation);
        std::sort(its.begin(), its.end(),
                  [](const Operation* a, const Operation* b) { return a->start < b->start; });
        std::string lines;
        for (const Operation* const operation : its) {
            std::uint64_t value = 0;
            std::memcpy(&value, operation->data.data() + (sector - operation->first()) * kSector,
                        8);
            lines += "\n  " + text(*operation) + ", value " + std::to_string(value);
        }
        return lines;
    }

    std::mt19937_64 rng_;
    TestPair pair_;
    std::vector<bool> weak_;  // of this thread; the others ask after they have ended
    std::uint64_t operations_;
    std::atomic<std::uint64_t> clock_{0};
    std::atomic<std::uint64_t> values_{0};
    std::vector<std::vector<Operation>> done_;
    std::vector<std::unique_ptr<Operation>> last_;
    DiskStatus status_;
};

TEST(Races, EveryAnswerIsExplainedBySomeOrder) {
    const Shape shapes[] = {
        {.main_size = 2 << 20},
        // Every write of single sectors is a read-modify-write.
        {.main_size = 2 << 20, .main_logical = 4096, .spare_physical = 4096},
    };
    const std::uint64_t per_round = 3000;
    const std::uint64_t rounds =
        std::max<std::uint64_t>(4, from_environment("DMREMAP_OPS", 300'000) / 3 / per_round);
    const auto until = end_of_time();
    std::uint64_t seed = first_seed();
    std::cout << "races: seeds from " << seed << "\n";
    std::uint64_t done = 0, remaps = 0, moves = 0, unmaps = 0, salvaged = 0, passes = 0;
    for (std::uint64_t round = 0; round < rounds || std::chrono::steady_clock::now() < until;
         ++round, ++seed) {
        Race race(seed, shapes[seed % std::size(shapes)], per_round);
        ASSERT_EQ(race.go(), "") << "DMREMAP_SEED=" << seed
                                 << " gives the same operations again, not the same order";
        done += per_round;
        remaps += race.status().totals.remaps;
        moves += race.status().totals.moves;
        unmaps += race.status().totals.unmaps;
        salvaged += race.status().totals.sectors_salvaged;
        passes += race.status().scan.passes;
    }
    std::cout << "races: " << done << " operations, " << remaps << " remaps, " << moves
              << " moves, " << unmaps << " unmaps, " << salvaged << " sectors salvaged, " << passes
              << " scans\n";
    // A race in which nothing happens proves nothing.
    EXPECT_GT(remaps, 0u);
    EXPECT_GT(unmaps, 0u);
    EXPECT_GT(moves, 0u);
    EXPECT_GT(passes, 0u);
}

}  // namespace
}  // namespace dmremap::test
