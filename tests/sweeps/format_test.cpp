// SPDX-License-Identifier: GPL-2.0-or-later
// Failing call sweep of what happens before a disk is open: each call of formatting, of repairing,
// of checking and of opening read-only fails in turn, once or from then on.
//
// PROVES that each says no with a sentence or comes to its end, that checking and read-only opening
// write nothing, and that what is left is the old spare whole, or none, or a new one: never a spare
// that opens and is neither. (The calls of opening for writing are part of calls_test.cpp.)
// DOES NOT PROVE what a power cut in the middle leaves; that is the crash tests' business.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "core/meta/examine.h"
#include "core/meta/format_spare.h"
#include "core/meta/uuid.h"
#include "core/refusal.h"
#include "tests/sweeps/cases.h"
#include "tests/sweeps/damaged_spare.h"
#include "tests/sweeps/injector.h"
#include "tests/sweeps/pasts.h"
#include "tests/sweeps/watchdog.h"

namespace dmremap::test {
namespace {

constexpr unsigned kUsualEvery = 2;

class FailingBefore : public testing::Test {
protected:
    // What is tried on fresh devices; false when it said no.
    using Step = std::function<bool(Device& main, Device& spare)>;
    // "" or what is wrong afterwards, with healthy devices.
    using Look = std::function<std::string(bool done)>;

    FailingBefore() {
        old_uuid_ = uuid_text(history_.superblock.uuid);
        remember_writes(*history_.pair.main, main_writes_);
        remember_writes(*history_.pair.spare, spare_writes_);
    }

    void remember_writes(Medium& medium, std::uint64_t& count) {
        medium.set_hook([&count](const Call& call) {
            count += call.op != Op::read && call.op != Op::flush ? 1 : 0;
            return Medium::kPass;
        });
    }

    void sweep(const std::string& what, const std::vector<std::byte>& spare, const Step& step,
               const Look& look) {
        for (const int error : {EIO, ENOSPC, ENODEV, ENOMEM})
            for (const bool goes_on : {false, true})
                for (const Injection::On on : {Injection::main, Injection::spare})
                    sweep(what, {on, 0, goes_on, error}, spare, step, look);
    }

    void sweep(const std::string& what, Injection injection, const std::vector<std::byte>& spare,
               const Step& step, const Look& look) {
        std::uint64_t calls = 0;
        do {
            const std::string name = what + ": " + injection.name();
            if (injection.call != 0 && !cases_.wanted(name)) continue;
            watchdog_.begin(name + Cases::recipe(name));
            history_.pair.spare->restore(spare);
            main_writes_ = spare_writes_ = 0;
            injector_.begin(injection);
            ASSERT_EQ(attempt(step, look), "") << name << Cases::recipe(name);
            if (injection.call == 0) calls = injector_.calls();
        } while (++injection.call <= calls);
    }

    std::string attempt(const Step& step, const Look& look) {
        bool done = false;
        try {
            const auto main = injector_.wrap(history_.pair.main->device(), Injection::main);
            const auto spare = injector_.wrap(history_.pair.spare->device(), Injection::spare);
            done = step(*main, *spare);
        } catch (const Refusal& refusal) {
            if (injector_.hits() == 0) return std::string("refused: ") + refusal.what();
            if (refusal.what()[0] == '\0') return "refused without a sentence";
        } catch (const std::exception& e) {
            return std::string("throws: ") + e.what();
        }
        if (!done && injector_.hits() == 0) return "not done although nothing failed";
        injector_.end();
        if (main_writes_ != 0) return "wrote to main";
        return look(done);
    }

    SpareReport report() const {
        const auto device = history_.pair.spare->device();
        return examine_spare(*device, true);
    }

    // The disk opens and reads as it must: the old spare is whole.
    std::string opens_as_before() {
        DamagedSpare reader(history_);
        std::string problem = reader.opens_as_it_is();
        remember_writes(*history_.pair.main, main_writes_);
        remember_writes(*history_.pair.spare, spare_writes_);
        return problem;
    }

    void TearDown() override { cases_.report("calls"); }

    History history_{kPasts[0]};
    std::string old_uuid_;
    Injector injector_;
    Watchdog watchdog_;
    Cases cases_{kUsualEvery};
    std::uint64_t main_writes_ = 0, spare_writes_ = 0;
};

TEST_F(FailingBefore, FormattingAnEmptySpare) {
    const auto format = [](Device& main, Device& spare) {
        format_spare(main, spare, {});
        return true;
    };
    sweep("format", std::vector<std::byte>(history_.spare.size()), format, [&](bool done) {
        const SpareReport left = report();
        if (done && (!left.fatal.empty() || !left.repairable.empty()))
            return std::string("succeeded, and the spare is not whole");
        const auto main = history_.pair.main->device();
        const auto spare = history_.pair.spare->device();
        if (left.has_superblock) {
            if (!left.fatal.empty()) return "a spare that does not open: " + left.fatal.front();
            if (left.table.remapped != 0) return std::string("a new spare holds remaps");
            Disk::open(history_.pair.main->device(), history_.pair.spare->device(), {});
        } else {
            FormatOptions anew;
            anew.force = true;
            format_spare(*main, *spare, anew);
        }
        return std::string();
    });
}

TEST_F(FailingBefore, FormattingOverALiveSpare) {
    const auto destroy = [this](Device& main, Device& spare) {
        FormatOptions options;
        options.destroy_uuid = old_uuid_;
        format_spare(main, spare, options);
        return true;
    };
    sweep("destroy", history_.spare, destroy, [&](bool done) {
        const SpareReport left = report();
        if (!left.has_superblock) return std::string(done ? "succeeded, and there is none" : "");
        if (!left.fatal.empty()) return "a spare that does not open: " + left.fatal.front();
        if (uuid_text(left.superblock.uuid) != old_uuid_)
            return std::string(left.table.remapped == 0 ? "" : "a new spare holds remaps");
        return done ? "succeeded, and the old one is there" : opens_as_before();
    });
}

TEST_F(FailingBefore, Checking) {
    const auto check = [](Device&, Device& spare) {
        examine_spare(spare, true);
        return true;
    };
    sweep("check", history_.spare, check,
          [&](bool) { return std::string(spare_writes_ == 0 ? "" : "wrote to the spare"); });
}

TEST_F(FailingBefore, Repairing) {
    std::vector<std::byte> damaged = history_.spare;
    std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(dmr_copy_offsets[1]), 4096,
                std::byte{0});
    std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(history_.page_offset(0, 1)), 4096,
                std::byte{0});
    const auto repair = [](Device&, Device& spare) { return !repair_spare(spare).empty(); };
    sweep("repair", damaged, repair, [&](bool) { return opens_as_before(); });
}

TEST_F(FailingBefore, OpeningReadOnly) {
    OpenOptions options;
    options.read_only = true;
    const auto open = [&](Device&, Device&) {
        const auto disk =
            Disk::open(injector_.wrap(history_.pair.main->device(), Injection::main),
                       injector_.wrap(history_.pair.spare->device(), Injection::spare), options);
        return true;
    };
    sweep("ro", history_.spare, open,
          [&](bool) { return spare_writes_ == 0 ? opens_as_before() : "wrote to the spare"; });
}

}  // namespace
}  // namespace dmremap::test
