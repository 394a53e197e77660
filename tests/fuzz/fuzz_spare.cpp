// SPDX-License-Identifier: GPL-2.0-or-later
// A whole hostile spare: examined, opened for writing, for reading, to rescue, used, closed, and
// opened again, next to a model computed from the bytes on both devices.
//
// Proves, whatever the metadata says: opening either refuses, with nothing written to either
// device, or succeeds as a second reading of FORMAT.md says it may, and then every byte read is
// what that reading says; nothing is written to main but what a user writes, where he writes it;
// reading only writes nothing at all; a pair that was opened opens again, from the moment it was
// open and after it was closed, with the same content and nothing fatal found. Does not prove:
// anything about devices that fail meanwhile (the property tests and the failing call sweep), nor
// about power cuts.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "core/disk.h"
#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/refusal.h"
#include "tests/fuzz/base_pair.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/damage.h"
#include "tests/fuzz/spare_model.h"
#include "tests/fuzz/spare_truth.h"
#include "tests/fuzz/target.h"

namespace dmremap::fuzz {

namespace {

constexpr std::uint64_t kMostWritten = 3 * 4096;
constexpr std::uint64_t kMostOfMain = std::uint64_t{1} << 40;
constexpr std::uint64_t kReach = 64 * 4096;  // of requests: where the remaps are, and beyond

// What main may be written to now.
struct Allowed {
    std::uint64_t begin = 0, end = 0;
};

class Session {
public:
    Session(BasePair pair, const OpenOptions& options) : pair_(std::move(pair)), options_(options) {
        const std::uint64_t unit = pair_.main->info().logical_block;
        pair_.main->watch([this, unit](std::uint64_t offset, std::uint64_t length) {
            check(offset >= allowed_.begin / unit * unit &&
                      offset + length <= (allowed_.end + unit - 1) / unit * unit,
                  "main was written where no user wrote");
        });
    }
    ~Session() {
        disk_.reset();
        pair_.main->watch(nullptr);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // False: refused.
    bool open() {
        const std::uint64_t before = pair_.spare->writes() + pair_.main->writes();
        try {
            disk_ = Disk::open(SparseImage::device(pair_.main), SparseImage::device(pair_.spare),
                               options_);
        } catch (const Refusal& refusal) {
            check(pair_.spare->writes() + pair_.main->writes() == before,
                  std::string("refused after it has written: ") + refusal.what());
            return false;
        }
        return true;
    }
    Disk& disk() { return *disk_; }
    const BasePair& pair() const { return pair_; }

    void request(Input& input, SpareModel& model) {
        const std::uint8_t what = input.byte();
        const std::uint64_t size = disk_->size();
        std::uint64_t offset = input.below(std::min(kReach, size));
        std::uint64_t length = 1 + input.below(kMostWritten);
        if ((what & 64) == 0) {
            offset = offset / 512 * 512;
            length = (length + 511) / 512 * 512;
        }
        if ((what & 128) != 0) offset = size - std::min(size, offset + 1);
        length = std::min(length, size - offset);
        switch (what % 6) {
            case 0:
            case 1:
                allowed_ = {offset, offset + length};
                model.write(*disk_, offset, length, input.byte());
                allowed_ = {};
                break;
            case 2:
                allowed_ = {offset, offset + length};
                model.zero(*disk_, offset, length);
                allowed_ = {};
                break;
            case 3:
                check(disk_->flush() == 0, "a flush failed");
                break;
            case 4:
                disk_->salvage();
                break;
            default:
                model.read(*disk_, offset, length);
        }
    }

    void close() { check(disk_->close() == 0, "the close failed"); }

private:
    const BasePair pair_;
    const OpenOptions options_;
    Allowed allowed_;
    std::unique_ptr<Disk> disk_;
};

// The same bytes, opened as after a crash of the process at this moment. `proven`: not by the
// witness alone, which a crash takes away.
void open_copy(const BasePair& pair, SpareModel model, bool proven, const char* when) {
    Session session(pair.copy(), {});
    if (!session.open()) {
        check(!proven, std::string("does not open ") + when);
        return;
    }
    model.read_all(session.disk());
    session.close();
}

bool proven(const BasePair& pair, const SpareTruth& truth) {
    return truth.superblock &&
           pair.main->info().identity == field_text(truth.superblock->main_text, DMR_IDENTITY_TEXT);
}

void look_only(const BasePair& pair, const SpareTruth& truth, bool rescue) {
    OpenOptions options;
    options.read_only = true;
    options.rescue = rescue;
    options.take_over = true;
    Session session(pair.copy(), options);
    if (!session.open()) return;
    if (truth.refused.empty()) {
        SpareModel model(pair, truth, false);
        model.check_remaps(session.disk());
        model.read_all(session.disk());
    } else {
        check(rescue, "opened although " + truth.refused);
        std::byte sector[512];  // anything, but no harm
        for (std::uint64_t at = 0; at < std::min(kReach, session.disk().size() / 512 * 512);
             at += sizeof(sector))
            session.disk().read(at, sector, sizeof(sector));
    }
    std::byte byte{};
    check(session.disk().write(0, &byte, 1) != 0, "written although opened to read only");
    session.disk().flush();
    session.close();
    check(session.pair().spare->writes() + session.pair().main->writes() == 0,
          "opened to read only, and written to");
}

void check_closed(const BasePair& pair, const SpareModel& model, bool whole) {
    const auto device = SparseImage::device(pair.spare);
    const SpareReport report = examine_spare(*device, true);
    check(report.fatal.empty(),
          "closed, and then: " + (report.fatal.empty() ? "" : report.fatal.front()));
    if (whole) check(report.repairable.empty(), "something to repair is left after a close");
    open_copy(pair, model, true, "after a close");
}

// As dmremapctl check --repair does it.
void repair_copy(const BasePair& original, const SpareTruth& truth) {
    const BasePair pair = original.copy();
    const auto device = SparseImage::device(pair.spare);
    try {
        repair_spare(*device);
    } catch (const Refusal&) {
        check(pair.spare->writes() == 0, "a refused repair has written");
        return;
    }
    const SpareTruth after = truth_of(*pair.spare);
    check(truth.refused.empty() && after.refused.empty(),
          "repaired: " + truth.refused + after.refused);
    check(after.live.size() == truth.live.size(), "a repair lost remaps");
    for (const auto& [block, claim] : truth.live) {
        const auto at = after.live.find(block);
        check(at != after.live.end() && at->second.slot == claim.slot &&
                  at->second.lost == claim.lost && at->second.retry == claim.retry,
              "a repair changed a remap");
    }
    const SpareReport report = examine_spare(*device, true);
    check(!truth.mixed.empty() || report.repairable.empty(), "a repair left something to do");
}

}  // namespace

void one_input(Input& input) {
    const std::uint8_t start = input.byte(), how = input.byte();
    BasePair pair = base_pair(start, start / kPasts).copy();
    unsigned patches = input.byte() % 32;
    const bool untouched = patches == 0;
    for (; patches != 0; patches--) damage_spare(input, *pair.spare, pair.geometry);
    const SpareTruth truth = truth_of(*pair.spare);
    // A main of the size that the spare asks for, or nothing behind that check were ever reached.
    if (truth.superblock && (how & 1) != 0)
        pair.main->set_size(dmr_le64(truth.superblock->main_size) % kMostOfMain);
    const DeviceInfo& main = pair.main->info();
    if (main.size == 0 || main.size % main.logical_block != 0) return;

    const SpareReport report = examine_spare(*SparseImage::device(pair.spare), true);
    check(report.fatal.empty() == truth.refused.empty(), "examine does not see: " + truth.refused);
    repair_copy(pair, truth);
    if ((how & 128) != 0) look_only(pair, truth, (how & 4) != 0);

    OpenOptions options;
    options.accept_changed_main = (how & 8) != 0;
    options.take_over = (how & 16) != 0;
    SpareModel model(pair, truth, !options.accept_changed_main);
    Session session(pair.copy(), options);
    if (!session.open()) {
        check(!untouched, "an honest pair does not open");
        return;
    }
    check(truth.refused.empty(), "opened although " + truth.refused);
    model.check_remaps(session.disk());
    const bool sure = proven(pair, truth);
    if ((how & 32) != 0) open_copy(session.pair(), model, sure, "as it was opened");
    model.read_all(session.disk());
    for (unsigned n = 0; n < 24 && !input.empty(); n++) session.request(input, model);
    model.read_all(session.disk());
    if ((how & 64) != 0) open_copy(session.pair(), model, sure, "as it was used");
    session.close();
    check_closed(session.pair(), model, truth.mixed.empty());
}

}  // namespace dmremap::fuzz
