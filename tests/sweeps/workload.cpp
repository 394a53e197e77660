// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/workload.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "core/meta/examine.h"
#include "core/refusal.h"

namespace dmremap::test {

namespace {

// Unwinds the workload.
struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string blocks_text(std::uint64_t sector) { return "block " + std::to_string(sector / 8); }

}  // namespace

Workload::Workload(Machine& machine, Trouble& trouble, Wrap wrap)
    : machine_(machine), trouble_(trouble), wrap_(std::move(wrap)) {}

Workload::~Workload() = default;

std::string Workload::run(std::uint64_t seed) {
    belief_ = std::make_unique<Belief>(kWorkShape.main_size / kSector);
    try {
        first_session();
        second_session();
        third_session();
        at_the_end(seed);
    } catch (const std::exception& e) {
        std::string problem = doing_ + ": " + e.what();
        if (disk_) {
            problem += std::string("\n  state ") + state_name(disk_->status().state);
            for (const Cause& cause : disk_->status().causes)
                problem += ", " + std::string(cause.name) + " (" + cause.text + ")";
        }
        trouble_.end();
        machine_.power_off();
        in_disk([this] { disk_.reset(); });
        machine_.power_on(nullptr);
        return problem;
    }
    return "";
}

// ---------------------------------------------------------------------------------- sessions

void Workload::first_session() {
    const std::uint64_t tail = belief_->sectors() - 3;
    bad_on_main(80, 8, "write");
    bad_on_main(88, 8, "write");
    bad_on_main(162, 2, "read", " heals");
    bad_on_main(240, 8, "all");
    bad_on_main(320, 8, "write");
    bad_on_main(323, 1, "read");
    bad_on_main(tail, 3, "write");
    if (!open()) return;
    write(0, 16);
    write(80, 8);
    flush();
    read(160, 8);
    read(160, 2);
    write(162, 1);
    write_bytes(163 * kSector + 100, 50);
    write_bytes(81 * kSector + 7, 700);
    write_bytes(1000, 5000);
    flush();
    write(240, 4);
    write(320, 2);
    write(tail, 3);
    zero(24, 16);
    zero(84, 4);
    discard(40, 16);
    flush();
    bad_slot_of(10);
    write(80, 8);
    write(88, 8);
    by_hand(false, 50, 2);
    write(400, 8);
    by_hand(true, 50, 1);
    flush();
    read(0, 160);
    machine_.plan().apply("main heal 163\n");
    bad_on_main(480, 1, "read");
    scan();
    salvage();
    read(160, 8);
    flush();
    close();
}

// The second copy of the first page takes no writes: it is retired, its blocks move, the table
// grows.
void Workload::second_session() {
    if (!open()) return;
    const std::uint64_t page = dmr_page_offset(&machine_.geometry(), 1, 0) / kSector;
    machine_.plan().apply("spare bad write " + std::to_string(page) + "+8\n");
    page_is_bad_ = true;
    write(244, 1);
    salvage();
    write(80, 2);
    flush();
    by_hand(true, 51, 1);
    bad_on_main(104, 8, "write");
    write(104, 8);
    read(240, 4);
    flush();
    close();
    machine_.plan().apply("spare heal " + std::to_string(page) + "+8\n");
    page_is_bad_ = false;
}

void Workload::third_session() {
    if (!open()) return;
    read(80, 16);
    machine_.plan().apply("main heal 88+8\n");
    by_hand(true, 11, 1);
    flush();
    write(88, 8);
    bad_on_main(800, 8, "write");
    write(800, 8);
    flush();
    bad_page_of(51);  // what is written there must go elsewhere
    by_hand(true, 51, 1);
    salvage();
    bad_page_of(40);
    write(323, 1);
    flush();
    write(800, 2);
    write(0, 8);
}

bool Workload::open() {
    for (;;) {
        begin("opening");
        flush_hits_at_open_ = trouble_.flush_hits();
        flush_failed_ = false;
        OpenOptions options;
        options.on_event = [this](const Event& event) {
            const OutOfDisk out(trouble_);
            const std::lock_guard lock(mutex_);
            events_.push_back(event);
        };
        try {
            auto main = wrap_(machine_.main(), true);
            auto spare = wrap_(machine_.spare(), false);
            const InDisk in(trouble_);
            disk_ = Disk::open(std::move(main), std::move(spare), options);
            never_answered_ |= trouble_.goes_on() && trouble_.hits() != hits_before_;
            return true;
        } catch (const Refusal& refusal) {
            if (trouble_.hits() == hits_before_)
                throw Wrong(std::string("refused without a reason: ") + refusal.what());
        } catch (const std::bad_alloc&) {
            if (trouble_.hits() == hits_before_) throw;
        }
        if (trouble_.goes_on()) return false;
    }
}

void Workload::close() {
    judge_events();
    begin("close");
    const int error = in_disk([&] { return disk_->close(); });
    judge(error);
    if (error == 0 && flush_failed_) throw Wrong("succeeds after a flush had failed");
    in_disk([this] { disk_.reset(); });
}

// The power goes off, everything heals.
void Workload::at_the_end(std::uint64_t seed) {
    if (disk_) judge_events();
    doing_ = "after the power cut";
    machine_.power_off();
    in_disk([this] { disk_.reset(); });
    trouble_.end();
    std::mt19937_64 chance(seed);
    machine_.power_on(seed % 2 == 0 ? nullptr : &chance);
    machine_.plan().apply("clear\n");
    belief_->power_cut();
    if (!open()) throw Wrong("does not open");
    look_at_what_is_left(false);
    disk_->salvage();
    look_at_what_is_left(true);
    if (disk_->status().lost_sectors != 0) throw Wrong("counts lost sectors");
    if (disk_->flush() != 0) throw Wrong("flush fails");
    if (disk_->close() != 0) throw Wrong("close fails");
    in_disk([this] { disk_.reset(); });
    judge_events();
    const auto spare = machine_.spare();
    const SpareReport report = examine_spare(*spare, true);
    if (!report.fatal.empty()) throw Wrong("check: " + report.fatal.front());
    if (!report.repairable.empty()) throw Wrong("check: " + report.repairable.front());
}

bool Workload::retried(std::uint64_t sector) const {
    bool is = false;
    disk_->list_remaps([&](const RemapInfo& info) {
        is |= info.sector == sector / 8 * 8 && (info.retry >> sector % 8 & 1) != 0;
    });
    return is && trouble_.goes_on();
}

void Workload::look_at_what_is_left(bool salvaged) {
    constexpr std::uint64_t kPiece = 64;
    std::vector<std::byte> bytes;
    for (std::uint64_t s = 0; s < belief_->sectors(); s += kPiece) {
        const std::uint64_t count = std::min(kPiece, belief_->sectors() - s);
        bytes.resize(count * kSector);
        if (disk_->read(s * kSector, bytes.data(), bytes.size()) == 0) {
            if (auto wrong = belief_->read(s, bytes); !wrong.empty()) throw Wrong(wrong);
            continue;
        }
        bytes.resize(kSector);
        for (std::uint64_t one = s; one < s + count; ++one) {
            const int error =
                in_disk([&] { return disk_->read(one * kSector, bytes.data(), kSector); });
            std::string wrong;
            if (error == 0)
                wrong = belief_->read(one, bytes);
            else if (error != EIO || salvaged || !(belief_->may_be_lost(one) || retried(one)))
                wrong = "sector " + std::to_string(one) + " fails with " + std::strerror(error);
            if (!wrong.empty()) throw Wrong(wrong);
        }
    }
}

// ---------------------------------------------------------------------------------- operations

void Workload::write(std::uint64_t sector, std::uint64_t count) {
    if (!disk_) return;
    begin("write of sectors " + std::to_string(sector) + "+" + std::to_string(count));
    const std::vector<std::byte> data = pattern(sector, count, ++version_);
    const int error =
        in_disk([&] { return disk_->write(sector * kSector, data.data(), data.size()); });
    belief_->written(sector * kSector, data, error == 0);
    judge_io(error);
}

void Workload::write_bytes(std::uint64_t offset, std::uint64_t length) {
    if (!disk_) return;
    begin("write of bytes " + std::to_string(offset) + "+" + std::to_string(length));
    std::vector<std::byte> data = pattern(offset / kSector, length / kSector + 1, ++version_);
    data.resize(length);
    const std::uint64_t first = offset / kSector, last = (offset + length - 1) / kSector;
    const bool lost = belief_->may_be_lost(first) || belief_->may_be_lost(last);
    const int error = in_disk([&] { return disk_->write(offset, data.data(), data.size()); });
    if (error == 0 && lost && trouble_.hits() == 0)
        throw Wrong("part of a lost sector was written");
    belief_->written(offset, data, error == 0);
    judge_io(error, lost);
}

void Workload::zero(std::uint64_t sector, std::uint64_t count) {
    if (!disk_) return;
    begin("zeroing of sectors " + std::to_string(sector) + "+" + std::to_string(count));
    const int error = in_disk([&] { return disk_->zero(sector * kSector, count * kSector); });
    belief_->written(sector * kSector, zeros(count * kSector), error == 0);
    judge_io(error);
}

void Workload::discard(std::uint64_t sector, std::uint64_t count) {
    if (!disk_) return;
    begin("discard of sectors " + std::to_string(sector) + "+" + std::to_string(count));
    belief_->discarded(sector, count);
    judge(in_disk([&] { return disk_->discard(sector * kSector, count * kSector); }));
}

void Workload::read(std::uint64_t sector, std::uint64_t count) {
    if (!disk_) return;
    begin("read of sectors " + std::to_string(sector) + "+" + std::to_string(count));
    std::vector<std::byte> data(count * kSector);
    const int error =
        in_disk([&] { return disk_->read(sector * kSector, data.data(), data.size()); });
    bool lost = false;
    for (std::uint64_t s = sector; s < sector + count; ++s) lost |= belief_->may_be_lost(s);
    if (error != 0) {
        judge_io(error, lost);
    } else if (auto wrong = belief_->read(sector, data); !wrong.empty()) {
        throw Wrong(wrong);
    }
}

void Workload::flush() {
    if (!disk_) return;
    begin("flush");
    const bool failed_before = trouble_.flush_hits() != flush_hits_at_open_;
    const bool alone = disk_->status().retired_pages == 0;  // the healer has nothing to flush
    const int error = in_disk([&] { return disk_->flush(); });
    const bool failed_now = alone && trouble_.flush_hits() != flush_hits_at_open_;
    if (error == 0 && (failed_before || failed_now || flush_failed_))
        throw Wrong("succeeds although a flush failed since the disk was opened");
    judge(error);
    flush_failed_ |= error != 0;
    if (error == 0) belief_->flushed();
    if (failed_before) judge_causes();
}

void Workload::salvage() {
    if (!disk_) return;
    begin("salvage");
    in_disk([&] { return disk_->salvage(); });
}

// All of main, to the end, or until it stands still.
void Workload::scan() {
    if (!disk_) return;
    begin("scan");
    const int error = in_disk([&] { return disk_->scan(ScanOrder::start); });
    ScanState state = ScanState::running;
    while (state == ScanState::running) {
        std::this_thread::yield();
        state = disk_->status().scan.state;
    }
    if (state != ScanState::idle) in_disk([&] { return disk_->scan(ScanOrder::stop); });
    judge(error);
}

void Workload::by_hand(bool unmap, std::uint64_t block, std::uint64_t blocks) {
    if (!disk_) return;
    begin(std::string(unmap ? "un" : "re") + "mapping of block " + std::to_string(block));
    for (std::uint64_t b = block; b < block + blocks; ++b) bad_blocks_.insert(b);
    const RangeResult result = in_disk([&] {
        return unmap ? disk_->unmap(block * 8, blocks * 8) : disk_->remap(block * 8, blocks * 8);
    });
    if (result.changed + result.unchanged + result.refused != blocks)
        throw Wrong("not every block was answered for");
    if ((result.error != 0) != (result.refused != 0)) throw Wrong("refused without a reason");
    if (result.error == ENODATA && !disk_lost_any_of(block, blocks))
        throw Wrong("refused for lost sectors that are none");
    // EAGAIN while a page is retired, EIO when this is what retires it.
    const bool retired = disk_->status().retired_pages != 0;
    const bool page_explains = unmap && ((result.error == EAGAIN && retired) ||
                                         (result.error == EIO && retired && page_is_bad_));
    if (!page_explains && result.error != ENODATA) judge(result.error);
}

bool Workload::disk_lost_any_of(std::uint64_t block, std::uint64_t blocks) const {
    bool lost = false;
    disk_->list_remaps([&](const RemapInfo& info) {
        lost |= info.lost != 0 && info.sector / 8 >= block && info.sector / 8 < block + blocks;
    });
    return lost;
}

// ---------------------------------------------------------------------------------- troubles

void Workload::bad_on_main(std::uint64_t sector, std::uint64_t count, const char* access,
                           const char* options) {
    machine_.plan().apply(std::string("main bad ") + access + " " + std::to_string(sector) + "+" +
                          std::to_string(count) + options + "\n");
    if (access != std::string("write")) belief_->unreadable_on_main(sector, count);
    bad_blocks_.insert(sector / 8);
}

void Workload::bad_slot_of(std::uint64_t block) {
    if (!disk_) return;
    std::uint64_t place = 0;
    disk_->list_remaps([&](const RemapInfo& info) {
        if (info.sector == block * 8) place = info.spare_sector;
    });
    if (place == 0) return;  // it could not be moved there
    machine_.plan().apply("spare bad write " + std::to_string(place) + "+8\n");
    bad_slots_.insert(place);
}

// The first copy of the page with this block's entry takes no writes any more.
void Workload::bad_page_of(std::uint64_t block) {
    if (!disk_) return;
    const dmr_superblock& sb = machine_.geometry();
    disk_->list_remaps([&](const RemapInfo& info) {
        if (info.sector != block * 8) return;
        const std::uint64_t page = info.slot / dmr_entries_per_page(&sb);
        machine_.plan().apply("spare bad write " +
                              std::to_string(dmr_page_offset(&sb, 0, page) / kSector) + "+8\n");
        page_is_bad_ = true;
    });
}

// ---------------------------------------------------------------------------------- judging

std::vector<Event> Workload::copy_of_events() const {
    const std::lock_guard lock(mutex_);
    return events_;
}

void Workload::begin(const std::string& what) {
    doing_ = what;
    hits_before_ = trouble_.hits();
    events_before_ = copy_of_events().size();
    tripped_before_ = false;
    if (disk_)
        for (const Cause& cause : disk_->status().causes)
            tripped_before_ |= cause.name == "breaker";
}

// Is there a reason for the error?
void Workload::judge(int error, bool lost_explains) {
    if (error == 0) return;
    const DiskStatus status = disk_->status();
    if (error == EROFS && status.state < State::read_only)
        throw Wrong("fails with EROFS, but the state does not say so");
    const bool goes_on = trouble_.goes_on() && trouble_.hits() != 0;
    // No slot may be left because their pages take no writes, or all that are free take none.
    const bool no_slot = error == ENOSPC && goes_on;
    if (error != EIO && error != EROFS && error != trouble_.error() && !no_slot)
        throw Wrong(std::string("fails with ") + std::strerror(error) +
                    ", which is no error that occurred");
    if (lost_explains || flush_failed_ || trouble_.hits() != hits_before_ || goes_on) return;
    bool tripped = tripped_before_;
    const std::vector<Event> events = copy_of_events();
    for (std::size_t i = events_before_; i < events.size(); ++i)
        tripped |= events[i].kind == EventKind::breaker_tripped;
    bool read_only = false;
    for (const Cause& cause : status.causes) read_only |= cause.state == State::read_only;
    if (!tripped && !read_only)
        throw Wrong(std::string("fails with ") + std::strerror(error) + " without a reason");
}

void Workload::judge_io(int error, bool lost_explains) {
    if (error != 0) io_errors_.insert(error);
    judge(error, lost_explains);
}

bool Workload::may_be_remapped(std::uint64_t block) const {
    return bad_blocks_.contains(block) || (trouble_.places_are_bad() && trouble_.hits() != 0);
}

void Workload::judge_events() {
    // Of a main that did not answer once the disk was opened nobody knows that it is gone; up to
    // breaker_regions regions of it count as bad (core/engine/breaker.h).
    if (never_answered_) return;
    doing_ += ", events so far";
    for (const Event& event : copy_of_events()) {
        if (event.kind == EventKind::remapped && !may_be_remapped(event.sector / 8))
            throw Wrong(blocks_text(event.sector) + " is good and was remapped");
        if (event.kind == EventKind::bad_slot && !bad_slots_.contains(event.sector))
            throw Wrong("the slot at sector " + std::to_string(event.sector) +
                        " of the spare is good and was given up");
    }
    if (!disk_) return;
    const bool died = trouble_.goes_on() && trouble_.hits() != 0;
    disk_->list_remaps([&](const RemapInfo& info) {
        if (!may_be_remapped(info.sector / 8))
            throw Wrong(blocks_text(info.sector) + " is good and is remapped");
        // When main dies while a bad block is being moved, the rest of that block is tried again.
        const std::uint8_t explained = died ? info.retry : 0;
        for (std::uint64_t i = 0; i < 8; ++i)
            if ((info.lost >> i & 1) != 0 && (explained >> i & 1) == 0 &&
                !belief_->may_be_lost(info.sector + i))
                throw Wrong("sector " + std::to_string(info.sector + i) +
                            " counts as lost, but can be read or was written");
    });
    judge_causes();
}

// What the disk says of itself.
void Workload::judge_causes() {
    const DiskStatus status = disk_->status();
    State worst = State::healthy;
    bool flush_cause = false;
    for (const Cause& cause : status.causes) {
        worst = std::max(worst, cause.state);
        flush_cause |= cause.name == "flush_failed";
    }
    if (worst != status.state) throw Wrong("the state is not that of the worst cause");
    const bool failed = trouble_.flush_hits() != flush_hits_at_open_;
    if (failed && (!flush_cause || status.state < State::read_only))
        throw Wrong("a flush failed and the state does not say so");
    if (!failed && trouble_.hits() == 0 && status.state >= State::read_only)
        throw Wrong("read-only without a reason");
}

}  // namespace dmremap::test
