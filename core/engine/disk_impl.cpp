// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/engine/disk_impl.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/meta/opening_checks.h"
#include "core/meta/witness.h"

namespace dmremap {

namespace {

constexpr unsigned kPoolThreads = 4;

// Piece::handover: whoever comes second goes on with the request. The submitter comes first when
// the piece went asynchronous, the completer when it ended before the submitter looked.
constexpr unsigned kSubmitting = 0, kCompleted = 1, kDetached = 2;

bool changes_data(Op op) { return op == Op::write || op == Op::zero || op == Op::discard; }

}  // namespace

void Context::note_flush_failure(const DeviceInfo& device, int error) {
    flush_failed.note([&] {
        board->report(EventKind::flush_failed, 0, 0, device.name, ": ", std::strerror(error));
        board->raise(State::read_only, "flush_failed", "a flush of ", device.name, " failed (",
                     std::strerror(error),
                     "): what was written since the last one may be lost; unmount and mount again");
    });
}

DiskImpl::DiskImpl(std::unique_ptr<Context> disk, const OpenOptions& options)
    : disk_(std::move(disk)),
      opened_ns_(now_ns()),
      pool_(std::make_unique<ThreadPool>(kPoolThreads)) {
    healer_ = std::make_unique<Healer>(
        *disk_, Healer::Callbacks{this,
                                  [](void* self, Piece& piece, int error) {
                                      static_cast<DiskImpl*>(self)->piece_done(piece, error);
                                  },
                                  [](void* self, Piece* parked) {
                                      static_cast<DiskImpl*>(self)->resume(parked);
                                  }});
    disk_->gates = std::make_unique<Gates>([this] { healer_->wake(); });
    if (!disk_->read_only) {  // it reads the superblock, which is the healer's from its start on
        scanner_ =
            std::make_unique<Scanner>(*disk_, *healer_, options.clock, options.power_supplies);
    }
    healer_->start();
    if (scanner_) {
        scanner_->start();
    }
}

DiskImpl::~DiskImpl() {
    close();
    scanner_.reset();
    healer_.reset();
    pool_.reset();
}

void DiskImpl::submit(Request& request) {
    Piece& piece = request.piece;
    piece.request = &request;
    piece.disk = this;
    piece.op = request.op;
    piece.offset = request.offset;
    piece.length = 0;
    piece.data = request.data;
    piece.started_ns = now_ns();
    if (closed_) {
        request.done(request, ENODEV);
        return;
    }
    if (request.op == Op::flush) {
        submit_flush(piece);
        return;
    }
    if (request.offset > disk_->size || request.length > disk_->size - request.offset) {
        finish(piece, EINVAL);
        return;
    }
    advance(piece);
}

// Works off the request's pieces until one goes asynchronous or the request ends.
void DiskImpl::advance(Piece& piece) {
    const Request& request = *piece.request;
    const std::uint64_t end = request.offset + request.length;
    for (;;) {
        piece.offset += piece.length;
        if (piece.offset == end) {
            finish(piece, 0);
            return;
        }
        const std::uint64_t region_end = (piece.offset | (kRegionSize - 1)) + 1;
        piece.length = std::min(end, region_end) - piece.offset;
        // A zero without data is told from a write by just that, so what a caller left there is not
        // used.
        const bool has_data = request.op == Op::read || request.op == Op::write;
        piece.data = has_data ? request.data + (piece.offset - request.offset) : nullptr;
        int error = 0;
        if (start(piece, error) == Step::pending) {
            return;
        }
        if (error != 0) {
            finish(piece, error);
            return;
        }
    }
}

DiskImpl::Step DiskImpl::start(Piece& piece, int& error) {
    error = 0;
    const unsigned gate = gate_of(piece.offset);
    while (!disk_->gates->enter(gate)) {
        if (disk_->gates->park(gate, piece)) {
            return Step::pending;
        }
    }
    return admitted(piece, error);
}

// Just inside the gate, and by now for sure.
DiskImpl::Step DiskImpl::admitted(Piece& piece, int& error) {
    // In the gate, or what was found out behind it, while it was closed, would come too late.
    if (changes_data(piece.op) && !disk_->writable()) {
        disk_->gates->leave(gate_of(piece.offset));
        error = EROFS;
        return Step::done;
    }
    return launch(piece, error);
}

// Inside the gate.
DiskImpl::Step DiskImpl::launch(Piece& piece, int& error) {
    const unsigned gate = gate_of(piece.offset);
    const std::uint64_t grain = disk_->logical_block - 1;
    if (((piece.offset | piece.length) & grain) != 0) {
        disk_->gates->leave(gate);
        if (piece.op == Op::discard) {
            return Step::done;  // a hint about parts of blocks says nothing
        }
        return hand_to_healer(piece);
    }
    Cut cut = Cut::one_run;
    if (disk_->map->may_hold_remaps(piece.offset)) {
        try {
            cut = cut_into_runs(*disk_, piece);
        } catch (const std::bad_alloc&) {
            disk_->gates->leave(gate);
            error = ENOMEM;
            return Step::done;
        }
    } else {
        Io& io = piece.io;
        io.op = piece.op;
        io.offset = piece.offset;
        io.length = piece.length;
        io.data = piece.data;
        piece.on_spare = false;
    }
    switch (cut) {
        case Cut::lost:
            disk_->gates->leave(gate);
            error = EIO;
            return Step::done;
        case Cut::exclusive:
            disk_->gates->leave(gate);
            return hand_to_healer(piece);
        case Cut::nothing:
            disk_->gates->leave(gate);
            return Step::done;
        case Cut::one_run:
        case Cut::runs:
            break;
    }

    piece.error.store(0, std::memory_order_relaxed);
    piece.handover.store(kSubmitting, std::memory_order_relaxed);
    if (cut == Cut::one_run) {
        piece.outstanding.store(1, std::memory_order_relaxed);
        piece.io.context = &piece;
        piece.io.done = [](Io& done) {
            Piece& owner = *static_cast<Piece*>(done.context);
            static_cast<DiskImpl*>(owner.disk)
                ->run_done(owner, done.op, owner.on_spare, done.error);
        };
        (piece.on_spare ? *disk_->spare : *disk_->main).submit(piece.io);
    } else {
        // One more than there are runs: the submitter holds the last, so that the set outlives the
        // loop.
        std::vector<Run>& runs = piece.runs->runs;
        piece.outstanding.store(static_cast<unsigned>(runs.size()) + 1, std::memory_order_relaxed);
        for (Run& run : runs) {
            run.io.context = &run;
            run.io.done = [](Io& done) {
                const Run& owner = *static_cast<Run*>(done.context);
                static_cast<DiskImpl*>(owner.piece->disk)
                    ->run_done(*owner.piece, done.op, owner.on_spare, done.error);
            };
            (run.on_spare ? *disk_->spare : *disk_->main).submit(run.io);
        }
        settle(piece);
    }
    if (piece.handover.exchange(kDetached, std::memory_order_acq_rel) != kCompleted) {
        return Step::pending;
    }
    return conclude(piece);
}

DiskImpl::Step DiskImpl::hand_to_healer(Piece& piece) {
    healer_->take(piece);
    return Step::pending;
}

void DiskImpl::run_done(Piece& piece, Op op, bool on_spare, int error) {
    if (on_spare) {
        disk_->counters->spare_call(op, error == 0);
    } else {
        disk_->counters->main_call(op, error == 0);
    }
    if (error != 0) {
        int none = 0;
        piece.error.compare_exchange_strong(none, error, std::memory_order_acq_rel);
    }
    settle(piece);
}

// One run less is outstanding; after the last one the piece leaves its gate, and whoever comes
// second, submitter or completer, goes on with it.
void DiskImpl::settle(Piece& piece) {
    if (piece.outstanding.fetch_sub(1, std::memory_order_acq_rel) != 1) {
        return;
    }
    disk_->gates->leave(gate_of(piece.offset));
    if (piece.handover.exchange(kCompleted, std::memory_order_acq_rel) == kDetached) {
        if (conclude(piece) == Step::done) {
            piece_done(piece, 0);
        }
    }
}

// After the gate was left, so that nobody waits in a gate: what failed goes to the healer.
DiskImpl::Step DiskImpl::conclude(Piece& piece) {
    if (piece.error.load(std::memory_order_acquire) == 0 || piece.op == Op::discard) {
        return Step::done;  // a discard is a hint; that it was not taken is no error
    }
    return hand_to_healer(piece);
}

// A piece ended away from advance(): on a thread of a device, of the pool, or the healer's.
void DiskImpl::piece_done(Piece& piece, int error) {
    const Request& request = *piece.request;
    if (error != 0 || piece.offset + piece.length == request.offset + request.length) {
        finish(piece, error);
        return;
    }
    pool_->run(
        [](void* self, void* subject) {
            static_cast<DiskImpl*>(self)->advance(*static_cast<Piece*>(subject));
        },
        this, &piece);
}

// The gate of these pieces is open again. Each enters here, on the healer's thread, which alone
// closes gates: a pool that is slow to take it up would else find the gate closed by the next
// round, time and again. So who was parked waits for one round.
void DiskImpl::resume(Piece* parked) {
    while (parked != nullptr) {
        Piece* const next = parked->next;
        if (!disk_->gates->enter(gate_of(parked->offset))) {
            std::abort();  // somebody else closes gates: nothing is safe any more
        }
        pool_->run(
            [](void* self, void* subject) {
                Piece& piece = *static_cast<Piece*>(subject);
                int error = 0;
                auto& disk = *static_cast<DiskImpl*>(self);
                if (disk.admitted(piece, error) == Step::done) {
                    disk.piece_done(piece, error);
                }
            },
            this, parked);
        parked = next;
    }
}

void DiskImpl::finish(Piece& piece, int error) {
    Request& request = *piece.request;
    const std::uint64_t now = now_ns();
    disk_->counters->request_done(piece.op, piece.op == Op::flush ? 0 : request.length, error == 0,
                                  now - piece.started_ns);
    piece.runs.reset();
    if (error == 0 && request.durable && changes_data(piece.op)) {
        piece.op = Op::flush;  // now that all of it is done, wherever it went; ends here again
        piece.started_ns = now;
        submit_flush(piece);
        return;
    }
    request.done(request, error);
}

// Both devices at once: both may hold what was acknowledged, the spare also from before a crash of
// this program, and each has all of its own before the flush comes. Acknowledged when both have
// answered; by then the first failure of either is in `flush_failed`, whoever was told of it (P2).
void DiskImpl::submit_flush(Piece& piece) {
    if (disk_->read_only) {
        finish(piece, 0);
        return;
    }
    // What is durable in one copy of its page, beside an older version in the other, is not kept as
    // promised.
    const int owed = disk_->table->old_version_left();
    if (disk_->flush_failed || owed != 0) {
        finish(piece, disk_->flush_failed ? EIO : owed);
        return;
    }
    piece.error.store(0, std::memory_order_relaxed);
    piece.outstanding.store(2, std::memory_order_relaxed);
    for (Io* const io : {&piece.io, &piece.spare_flush}) {
        *io = Io{};
        io->op = Op::flush;
        io->context = &piece;
        io->done = [](Io& done) {
            Piece& owner = *static_cast<Piece*>(done.context);
            static_cast<DiskImpl*>(owner.disk)
                ->flushed(owner, &done == &owner.spare_flush, done.error);
        };
    }
    disk_->main->submit(piece.io);
    disk_->spare->submit(piece.spare_flush);
}

void DiskImpl::flushed(Piece& piece, bool on_spare, int error) {
    if (on_spare) {
        disk_->counters->spare_call(Op::flush, error == 0);
    } else {
        disk_->counters->main_call(Op::flush, error == 0);
    }
    if (error != 0) {
        piece.error.store(EIO, std::memory_order_relaxed);
    }
    if (piece.outstanding.fetch_sub(1, std::memory_order_acq_rel) != 1) {
        return;
    }
    finish(piece, disk_->flush_failed ? EIO : piece.error.load(std::memory_order_relaxed));
}

int DiskImpl::close() {
    if (closed_.exchange(true)) {
        return close_result_;
    }
    healer_->begin_to_stop();
    if (scanner_) {
        scanner_->stop();
    }
    healer_->stop();
    if (!disk_->read_only) {
        try {
            close_result_ = mark_clean();
        } catch (const std::bad_alloc&) {
            close_result_ = ENOMEM;
        }
    }
    disk_->board->report(EventKind::closed, 0, 0, close_result_ == 0 ? "clean" : "not clean");
    return close_result_;
}

// The clean mark says that the table on the spare is the mapping and that main is as the witness
// saw it; so it comes after everything else is durable, and never after a failure. Without it the
// next opener recovers as from a crash, and loses only the witness.
int DiskImpl::mark_clean() {
    // A page that is owed a copy may hold a change that was taken back in memory.
    if (!disk_->table->broken()) {
        if (const int owed = disk_->table->pay_back(); owed != 0) {
            return owed;
        }
    }
    const auto flush = [this](Device& device) {
        return disk_->flush_failed ? EIO : device.flush();
    };
    const int main_error = flush(*disk_->main);
    const int spare_error = flush(*disk_->spare);
    if (main_error != 0 || spare_error != 0) {
        return main_error != 0 ? main_error : spare_error;
    }
    if (disk_->table->broken() || disk_->board->active("commit_failed")) {
        return EIO;
    }
    dmr_superblock sb = disk_->superblocks->current();
    take_witness(
        *disk_->main, [this](std::uint64_t block) { return disk_->map->find(block) != nullptr; },
        sb);
    clear_in_use(sb);
    sb.live_remaps = dmr_to_le64(disk_->table->counts().used);
    sb.flags = dmr_to_le32(dmr_le32(sb.flags) | DMR_CLEAN);
    scanner_->put(sb);
    return disk_->superblocks->write(sb);
}

}  // namespace dmremap
