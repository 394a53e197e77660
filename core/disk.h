// SPDX-License-Identifier: GPL-2.0-or-later
// The self-healing disk: what the front ends use.
//
// A Disk is a main and a spare device opened as a pair. It takes reads, writes, zeroing, discards
// and flushes of any byte range and keeps promises P1 to P10 of the README. Opening and closing
// block; everything in between is asynchronous, with blocking conveniences.
//
// Memory: once the disk is open no member but status() and list_remaps() throws; ENOMEM is an
// answer like others. An event for which there is none is lost. A flush that has none to be asked
// for is a flush that failed.
//
// Threads: every member may be called from any thread, except that the destructor and close() must
// come after the last request completed; remap() and unmap() that are under way then end where they
// are. Completions run on the submitting thread, before submit()
// returns, or on a thread of the disk; they must not block on the disk's other requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/device/device.h"
#include "core/engine/piece.h"
#include "core/events.h"
#include "core/meta/scan_record.h"
#include "core/parameter_rules.h"
#include "core/range_result.h"
#include "core/scan_progress.h"
#include "core/state.h"
#include "core/stats.h"

namespace dmremap {

struct OpenOptions {
    bool read_only = false;            // write nothing, neither to main nor to the spare
    bool rescue = false;               // with read_only: open even where metadata is lost for good
    bool accept_changed_main = false;  // go on although main was written while detached
    // overwritten_sentence() of the spare: if not empty it is refused, but to a rescue.
    std::string overwritten;
    bool take_over = false;          // go on although another machine's mark is on the spare
    unsigned lock_wait_seconds = 5;  // how long to wait for a closing owner
    std::string holder = "dmremap";  // name for the in-use mark, at most 31 bytes
    // Any thread; must neither block nor call the disk, nor throw but bad_alloc; may be empty.
    std::function<void(const Event&)> on_event;
    Clock clock;  // by which scans are due and days are told apart
    std::string power_supplies = "/sys/class/power_supply";  // where a scan looks for batteries
};

// One request of a user. The caller owns it and the memory until done is called; then it may be
// reused. The result is whole or an error, never partial: 0, or
//   EIO     the range touches what is lost, or cannot be read or written and not be healed
//   ENOSPC  a bad block could not be moved because no slot is left (or the file system under an
//           image is full)
//   EROFS   the disk is, or has become, read-only
//   EINVAL  the range is not inside the disk
//   ENOMEM  for want of memory; nothing but this request is concerned
// or what the device said (ENODEV, ...).
// Until it is done a write may take effect more than once, for what fails is tried again while
// others are served: as on any disk, two writes in flight to one sector have no order. A write that
// failed may have taken effect in part.
struct Request {
    Op op = Op::read;
    std::uint64_t offset = 0;   // bytes, any
    std::uint64_t length = 0;   // bytes, any
    std::byte* data = nullptr;  // read and write; best aligned to 4096
    // A write or zero that succeeds has been followed by a flush that succeeded: what O_DSYNC asks
    // for. A failure may be the flush's alone.
    bool durable = false;
    void (*done)(Request& request, int error) = nullptr;
    void* context = nullptr;  // the caller's

    Piece piece;  // the disk's own, from submission to completion
};

// One remap, as listed.
struct RemapInfo {
    std::uint64_t sector;  // of main, first of the block
    std::uint64_t slot;
    std::uint64_t spare_sector;  // where on the spare the slot lies
    std::uint64_t time;          // Unix seconds
    std::uint8_t lost;           // bit i: sector + i is lost
    std::uint8_t retry;
    std::uint8_t reason;  // enum dmr_reason
};

// The status line's numbers and those beside it, all since open, or since clear_stats(), unless
// they are a count of what is.
struct DiskStatus {
    std::string main, spare;  // names as given
    std::string uuid, label;
    std::uint64_t size = 0;  // bytes
    bool read_only = false;
    State state = State::healthy;
    std::vector<Cause> causes;
    Totals totals;
    std::uint64_t active_mappings = 0;
    std::uint64_t lost_sectors = 0;
    std::uint64_t retry_sectors = 0;
    std::uint64_t slots = 0;       // of the spare, whole
    std::uint64_t slots_used = 0;  // remapped
    std::uint64_t slots_bad = 0;   // bad slots, and free ones on retired pages
    std::uint64_t retired_pages = 0;
    ScanProgress scan;
    std::vector<DaySample> days;  // the oldest first
    std::uint64_t uptime_ns = 0;
};

class Disk {
public:
    // Opens the pair; throws Refusal, bad_alloc, or system_error where no thread is to be had, and
    // has given back everything then. With options.read_only nothing is ever written. The devices
    // are already open, exclusive and compatible (open_pair() below does that for paths).
    static std::unique_ptr<Disk> open(std::unique_ptr<Device> main, std::unique_ptr<Device> spare,
                                      const OpenOptions& options);

    virtual ~Disk() = default;

    virtual std::uint64_t size() const = 0;           // bytes
    virtual std::uint32_t logical_block() const = 0;  // bytes; I/O aligned to it is fastest
    virtual bool read_only() const = 0;               // opened so; see DiskStatus::state otherwise

    virtual void submit(Request& request) = 0;

    // Blocking conveniences: 0 or a positive errno.
    int read(std::uint64_t offset, void* data, std::uint64_t length);
    int write(std::uint64_t offset, const void* data, std::uint64_t length);
    int zero(std::uint64_t offset, std::uint64_t length);
    int discard(std::uint64_t offset, std::uint64_t length);
    int flush();

    // Tries all retry sectors again; returns the number of sectors that came back. Blocks. When
    // `cancelled`, asked several times a second, says so, it returns at once; what was begun goes
    // on.
    virtual std::uint64_t salvage(const std::function<bool()>& cancelled) = 0;
    std::uint64_t salvage() { return salvage(nullptr); }

    // Moves the blocks that hold sectors [sector, sector + count) to slots, with what can be read
    // of them; marks what cannot as lost. Blocks; any number, a region at a time, in bounded
    // memory.
    virtual RangeResult remap(std::uint64_t sector, std::uint64_t count) = 0;

    // Moves the blocks back to main: copied, durable, read back and compared, and only then is the
    // slot freed. Refused while main does not take the data or sectors are lost; and for all blocks
    // while a page of the entry table is retired, for an older claim on the block may stand there,
    // which would win once the newer one is gone. Blocks, as remap().
    //
    // By force a block goes back although sectors are lost, if all of them are retry sectors: they
    // are not written, so that main then answers for them as it would have for a retry, with an
    // error or with the data. A block with other lost sectors is refused all the same: what main
    // holds of those is older than what was lost.
    virtual RangeResult unmap(std::uint64_t sector, std::uint64_t count, bool force) = 0;
    RangeResult unmap(std::uint64_t sector, std::uint64_t count) {
        return unmap(sector, count, false);
    }

    // The parameters in force, and a change of one: 0 once it is in force and durable; EINVAL out
    // of its range; EROFS; or the errno of the superblock, when it is in force but perhaps gone at
    // the next open. Blocks for a round of healing.
    virtual Parameters parameters() const = 0;
    virtual int set_parameter(const ParameterRule& rule, std::uint32_t value) = 0;

    // The scan of main for bad blocks, see core/engine/scanner.h. `start` alone takes a range of
    // sectors; count 0 is all of main. 0: done, durable, or so already; EBUSY (start): a pass is
    // under way; ENOENT (pause, resume): none is; EINVAL: the range is not inside the disk; EROFS;
    // ENODEV; or the errno of the superblock, when it is in force but perhaps gone at the next
    // open. Blocks for a round of healing.
    virtual int scan(ScanOrder order, std::uint64_t sector, std::uint64_t count) = 0;
    int scan(ScanOrder order) { return scan(order, 0, 0); }

    // Blocks that scans found weak and that are still on main, by sector; since open, for they are
    // not kept. Throws bad_alloc.
    virtual std::vector<WeakBlock> weak_blocks() const = 0;

    // The counters of status() begin again at 0; what is a count of what is stays.
    virtual void clear_stats() = 0;

    // A consistent picture of each number; cheap enough to be polled. Throws bad_alloc, as
    // list_remaps().
    virtual DiskStatus status() const = 0;

    // Calls `each` for every remap, as they are when it begins, in order of main sectors; takes no
    // lock while in `each`. Needs 32 bytes a remap.
    virtual void list_remaps(const std::function<void(const RemapInfo&)>& each) const = 0;

    // The remap that the sector's block has in the entry table, if any.
    virtual std::optional<RemapInfo> find_remap(std::uint64_t sector) const = 0;

    // Whether the sector's block is fenced: a change of its entry may or may not have reached the
    // spare, so nobody knows where it lives. It is EIO to all until the disk is reopened, whatever
    // find_remap() says.
    virtual bool fenced(std::uint64_t sector) const = 0;

    // Waits for background work, commits what is pending, takes the witness, sets the clean mark.
    // 0, or the errno of what could not be written (the next open then recovers as from a crash).
    // Requests after it complete with ENODEV. Idempotent; the destructor calls it.
    virtual int close() = 0;

protected:
    Disk() = default;
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;
};

}  // namespace dmremap
