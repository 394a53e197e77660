// SPDX-License-Identifier: GPL-2.0-or-later
// The way of a request: cut into pieces of one region each, through the gate, past the filter, to
// the devices; what fails goes to the healer.
//
// A request's pieces go one after the other, a piece's runs side by side. Submitting never waits: a
// piece whose gate is closed is parked, one that needs healing is queued, and the request goes on
// where its piece ends, on the thread that completed it. Nothing is allocated on a healthy region.
#pragma once

#include <memory>

#include "core/device/thread_pool.h"
#include "core/disk.h"
#include "core/engine/context.h"
#include "core/engine/healer.h"
#include "core/engine/runs.h"
#include "core/engine/scanner.h"

namespace dmremap {

class DiskImpl final : public Disk {
public:
    // `disk` is complete but for gates; before this, nothing may have been submitted.
    DiskImpl(std::unique_ptr<Context> disk, const OpenOptions& options);
    ~DiskImpl() override;

    std::uint64_t size() const override { return disk_->size; }
    std::uint32_t logical_block() const override { return disk_->logical_block; }
    bool read_only() const override { return disk_->read_only; }
    void submit(Request& request) override;
    std::uint64_t salvage(const std::function<bool()>& cancelled) override;
    RangeResult remap(std::uint64_t sector, std::uint64_t count) override;
    RangeResult unmap(std::uint64_t sector, std::uint64_t count, bool force) override;
    Parameters parameters() const override { return disk_->parameters.load(); }
    int set_parameter(const ParameterRule& rule, std::uint32_t value) override;
    int scan(ScanOrder order, std::uint64_t sector, std::uint64_t count) override;
    std::vector<WeakBlock> weak_blocks() const override;
    void clear_stats() override;
    DiskStatus status() const override;
    void list_remaps(const std::function<void(const RemapInfo&)>& each) const override;
    std::optional<RemapInfo> find_remap(std::uint64_t sector) const override;
    bool fenced(std::uint64_t sector) const override {
        return disk_->fences.contain(sector / DMR_SECTORS_PER_BLOCK);
    }
    int close() override;

    // For the opener: a block in doubt (EntryTable::find_doubts()) gets a claim on a good page, or
    // the disk says that it has none.
    void map_anew(std::uint64_t block);

private:
    enum class Step : std::uint8_t { done, pending };

    void advance(Piece& piece);
    Step start(Piece& piece, int& error);
    Step admitted(Piece& piece, int& error);
    Step launch(Piece& piece, int& error);
    Step hand_to_healer(Piece& piece);
    Step conclude(Piece& piece);
    void submit_flush(Piece& piece);
    void flushed(Piece& piece, bool on_spare, int error);
    void run_done(Piece& piece, Op op, bool on_spare, int error);
    void settle(Piece& piece);
    void piece_done(Piece& piece, int error);
    void resume(Piece* parked);
    void finish(Piece& piece, int error);
    RangeResult by_hand(HandWork::Kind kind, std::uint64_t sector, std::uint64_t count);
    int mark_clean();
    int store_parameter(const ParameterRule& rule, std::uint32_t value);
    Totals totals_since_open() const;
    RemapInfo describe(const LiveRemap& remap) const;

    std::unique_ptr<Context> disk_;
    std::atomic<bool> closed_{false};
    int close_result_ = 0;
    bool parameters_unsaved_ = false;  // the healer's thread only
    const std::uint64_t opened_ns_;
    mutable std::mutex cleared_mutex_;
    Totals cleared_;                    // what the counters stood at when they were cleared
    std::unique_ptr<ThreadPool> pool_;  // continues requests whose piece another thread completed
    std::unique_ptr<Healer> healer_;
    std::unique_ptr<Scanner> scanner_;  // null: opened read-only
};

}  // namespace dmremap
