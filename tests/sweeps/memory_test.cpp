// SPDX-License-Identifier: GPL-2.0-or-later
// Failing call sweep of memory: each allocation that the disk makes while the workload runs fails
// in turn, alone, with the next few, or with all that follow; and each that opening, formatting,
// checking and repairing make.
//
// PROVES that before data flows the answer is bad_alloc or a Refusal, and the spare opens as
// before; that while it flows no thread ends the process, no request hangs or stays in a gate, an
// answer is ENOMEM where memory was the reason, and all that calls_test.cpp looks at holds: no
// wrong data, the right state, and a pair that opens afterwards with all that was acknowledged.
// DOES NOT PROVE anything about memory that does not come from operator new (TBB's, the kernel's),
// about the daemon around the disk, nor about a process that the kernel kills for want of memory:
// to the disk that is a crash.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <functional>
#include <latch>
#include <mutex>
#include <new>
#include <ostream>
#include <string>

#include "core/device/thread_pool.h"
#include "core/meta/entry_table.h"
#include "core/meta/examine.h"
#include "core/meta/format_spare.h"
#include "core/meta/uuid.h"
#include "core/refusal.h"
#include "tests/sweeps/allocations.h"
#include "tests/sweeps/cases.h"
#include "tests/sweeps/machine.h"
#include "tests/sweeps/watchdog.h"
#include "tests/sweeps/workload.h"

namespace dmremap::test {
namespace {

constexpr unsigned kUsualEvery = 2;

struct Span {
    const char* name;
    std::uint64_t many;  // allocations that fail in a row
};
void PrintTo(const Span& span, std::ostream* out) { *out << span.name; }

// A while is longer than a request or an opening bears, shorter than the tries of a commit.
const Span kSpans[] = {{"Once", 1}, {"AWhile", 12}, {"FromThenOn", Allocations::kForEver}};

class FailingMemory : public testing::TestWithParam<Span> {
protected:
    std::string name(const std::string& what, std::uint64_t allocation) const {
        return what + ": allocation " + std::to_string(allocation) + " " + GetParam().name;
    }

    // Runs one(k) for each allocation k that it makes; it gives "" or what was wrong.
    void sweep(const std::string& what, const std::function<std::string(std::uint64_t)>& one,
               std::uint64_t usual_every = 1) {
        Cases cases(usual_every);
        ASSERT_EQ(one(0), "") << "nothing fails";
        const std::uint64_t all = allocations_.count();
        for (std::uint64_t k = 1; k <= all; ++k) {
            if (!cases.wanted(name(what, k))) continue;
            watchdog_.begin(name(what, k) + Cases::recipe(name(what, k)));
            ASSERT_EQ(one(k), "") << name(what, k) << Cases::recipe(name(what, k));
        }
        cases.report(what);
    }

    // What is tried before data flows: it may say no, but leaves nothing behind.
    using Step = std::function<void(Device& main, Device& spare)>;
    std::string attempt(std::uint64_t k, const Step& step, bool damaged = false) {
        machine_.reset();
        if (damaged) {
            const auto spare = machine_.spare();
            const std::vector<std::byte> bytes = zeros(kBlock);
            spare->write(dmr_copy_offsets[1], bytes.data(), kBlock);
            spare->write(dmr_page_offset(&machine_.geometry(), 0, 0), bytes.data(), kBlock);
            spare->flush();
        }
        allocations_.end();
        const auto main = allocations_.wrap(machine_.main());
        const auto spare = allocations_.wrap(machine_.spare());
        std::string problem;
        allocations_.begin(k, GetParam().many);
        try {
            const InDisk in(allocations_);
            step(*main, *spare);
        } catch (const Refusal& refusal) {
            if (allocations_.hits() == 0) problem = std::string("refused: ") + refusal.what();
        } catch (const std::bad_alloc&) {
            if (allocations_.hits() == 0) problem = "no memory, although there was";
        } catch (const std::exception& e) {
            problem = std::string("throws: ") + e.what();
        }
        allocations_.end();
        return problem;
    }

    // The spare is whole.
    std::string opens() {
        try {
            const auto disk = Disk::open(machine_.main(), machine_.spare(), {});
            std::vector<std::byte> bytes(kBlock);
            for (std::uint64_t at = 0; at + kBlock <= disk->size(); at += kBlock)
                if (disk->read(at, bytes.data(), kBlock) != 0 ||
                    bytes != pattern(at / kSector, 8, 1))
                    return "reads wrong";
        } catch (const std::exception& e) {
            return std::string("does not open: ") + e.what();
        }
        return "";
    }

    MemoryMachine machine_;
    Allocations allocations_;
    Watchdog watchdog_;
};

TEST_P(FailingMemory, WhileDataFlows) {
    const auto one = [this](std::uint64_t k) {
        machine_.reset();
        allocations_.begin(k, GetParam().many);
        Workload workload(machine_, allocations_, [this](std::unique_ptr<Device> inner, bool) {
            return allocations_.wrap(std::move(inner));
        });
        return workload.run(k);
    };
    sweep("workload", one, kUsualEvery);
}

// Of one that takes a block over from another slot: all of it, or nothing, not even a write.
TEST_P(FailingMemory, ACommit) {
    sweep("commit", [this](std::uint64_t k) -> std::string {
        machine_.reset();
        const auto spare = allocations_.wrap(machine_.spare());
        const SuperblockScan scan = scan_superblocks(*spare);
        SuperblockStore store(*spare, scan);
        EntryTable table(*spare, store, load_table(*spare, *scan.current));
        const std::uint64_t old_slot = *table.allocate(), slot = *table.allocate();
        EntryChange change{.slot = old_slot, .state = DMR_REMAPPED, .main_block = 5};
        if (table.commit({&change, 1}).front() != CommitOutcome::durable) return "cannot begin";
        change.slot = slot;
        change.replaces = old_slot;
        bool thrown = false;
        const auto both_copies = [&] {
            std::vector<std::byte> bytes(2 * kBlock);
            for (const int copy : {0, 1})
                spare->read(dmr_page_offset(&machine_.geometry(), copy, 0),
                            bytes.data() + copy * kBlock, kBlock);
            return bytes;
        };
        const std::vector<std::byte> before = both_copies();
        allocations_.begin(k, GetParam().many);
        try {
            const InDisk in(allocations_);
            table.commit({&change, 1});
        } catch (const std::bad_alloc&) {
            thrown = true;
        }
        allocations_.end();
        if (thrown != (allocations_.hits() != 0)) return "throws without a reason, or not with one";
        if (table.live(old_slot) != thrown || table.live(slot) == thrown) return "half done";
        return thrown && both_copies() != before ? "throws after it has written" : "";
    });
}

TEST_P(FailingMemory, Opening) {
    sweep("opening", [this](std::uint64_t k) {
        const std::string problem = attempt(k, [this](Device&, Device&) {
            auto main = [this] {
                const OutOfDisk out(allocations_);
                return allocations_.wrap(machine_.main());
            };
            auto spare = [this] {
                const OutOfDisk out(allocations_);
                return allocations_.wrap(machine_.spare());
            };
            Disk::open(main(), spare(), {});
        });
        return problem.empty() ? opens() : problem;
    });
}

// Whatever is left, a new format takes it, and checking finds nothing that opens and is wrong.
TEST_P(FailingMemory, Formatting) {
    const std::string uuid = uuid_text(machine_.geometry().uuid);
    sweep("format", [&](std::uint64_t k) -> std::string {
        FormatOptions options;
        options.destroy_uuid = uuid;
        const std::string problem =
            attempt(k, [&](Device& main, Device& spare) { format_spare(main, spare, options); });
        if (!problem.empty()) return problem;
        const auto spare = machine_.spare();
        const SpareReport left = examine_spare(*spare, true);
        return !left.has_superblock || left.fatal.empty() ? "" : left.fatal.front();
    });
}

// One copy of a superblock and of a page is bad, so that there is something to repair.
TEST_P(FailingMemory, CheckingAndRepairing) {
    sweep("check and repair", [this](std::uint64_t k) {
        const auto step = [](Device&, Device& spare) {
            examine_spare(spare, true);
            repair_spare(spare);
        };
        const std::string problem = attempt(k, step, true);
        return problem.empty() ? opens() : problem;
    });
}

// Its queue has room for 256; what there is no room for is done by whoever brings it.
TEST_P(FailingMemory, ALongQueue) {
    constexpr unsigned kTasks = 2000;
    std::mutex busy;
    std::atomic<unsigned> done{0};
    struct Shared {
        std::mutex& busy;
        std::atomic<unsigned>& done;
    } shared{busy, done};
    {
        ThreadPool pool(1);
        const std::lock_guard hold(busy);
        const auto wait = [](void* subject, void*) {
            const std::lock_guard lock(static_cast<Shared*>(subject)->busy);
        };
        const auto count = [](void* subject, void*) { ++static_cast<Shared*>(subject)->done; };
        allocations_.begin(1, GetParam().many);
        {
            const InDisk in(allocations_);
            pool.run(wait, &shared, nullptr);
            for (unsigned i = 0; i < kTasks; ++i) pool.run(count, &shared, nullptr);
        }
        allocations_.end();
        if (GetParam().many == Allocations::kForEver) {
            EXPECT_GT(done, kTasks / 2);
        }
    }
    EXPECT_EQ(done, kTasks);
}

// Writes to main only after all requests have been queued.
class HeldDevice final : public Device {
public:
    HeldDevice(std::unique_ptr<Device> inner, std::latch& queued)
        : inner_(std::move(inner)), queued_(queued) {}
    const DeviceInfo& info() const override { return inner_->info(); }
    void submit(Io& io) override {
        if (io.op == Op::write) queued_.wait();
        inner_->submit(io);
    }

private:
    std::unique_ptr<Device> inner_;
    std::latch& queued_;
};

// While the healer is busy with the first of many, the others wait in a queue of its own.
TEST_P(FailingMemory, ManyThatWait) {
    constexpr std::uint64_t kRequests = 100, kLength = 40;
    machine_.reset();
    watchdog_.begin("many that wait");
    std::latch queued(1), answered(kRequests);
    const auto disk =
        Disk::open(allocations_.wrap(std::make_unique<HeldDevice>(machine_.main(), queued)),
                   allocations_.wrap(machine_.spare()), {});
    struct Asked {
        explicit Asked(std::latch& latch) : answered(latch) {}
        Request request;
        std::vector<std::byte> data;
        std::latch& answered;
        int error = 0;
    };
    std::deque<Asked> all;
    for (std::uint64_t i = 0; i < kRequests; ++i) {
        Asked& one = all.emplace_back(answered);
        one.data.assign(kLength, static_cast<std::byte>(i));
        one.request.op = Op::write;
        one.request.offset = i * kLength;
        one.request.length = kLength;
        one.request.data = one.data.data();
        one.request.context = &one;
        one.request.done = [](Request& request, int error) {
            Asked& mine = *static_cast<Asked*>(request.context);
            mine.error = error;
            mine.answered.count_down();
        };
    }
    allocations_.begin(1, GetParam().many);
    for (Asked& one : all) {
        const InDisk in(allocations_);
        disk->submit(one.request);
    }
    queued.count_down();
    answered.wait();
    allocations_.end();
    const std::vector<std::byte> before = pattern(0, 8, 1);
    std::vector<std::byte> bytes(kBlock);
    ASSERT_EQ(disk->read(0, bytes.data(), kBlock), 0);
    std::uint64_t failed = 0;
    for (const Asked& one : all) {
        const auto at = static_cast<std::ptrdiff_t>(one.request.offset);
        const auto holds = [&](const std::byte* content) {
            return std::equal(bytes.begin() + at, bytes.begin() + at + kLength, content);
        };
        EXPECT_TRUE(holds(one.data.data()) || (one.error != 0 && holds(before.data() + at)))
            << "byte " << at << ", answer " << one.error;
        EXPECT_TRUE(one.error == 0 || one.error == ENOMEM) << one.error;
        failed += one.error != 0 ? 1 : 0;
    }
    // What fails alone, or for a while, may be what nobody misses: a thread's counters.
    if (GetParam().many == Allocations::kForEver) {
        EXPECT_NE(failed, 0u);
    }
    EXPECT_EQ(disk->close(), 0);
}

INSTANTIATE_TEST_SUITE_P(Spans, FailingMemory, testing::ValuesIn(kSpans),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dmremap::test
