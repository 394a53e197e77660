// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/crash/user.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "core/refusal.h"

namespace dmremap::test {

namespace {

std::string range_text(Op op, std::uint64_t offset, std::uint64_t length) {
    return std::string(op_name(op)) + " of bytes " + std::to_string(offset) + "+" +
           std::to_string(length) + " (sectors " + std::to_string(offset / kSector) + " to " +
           std::to_string((offset + length - 1) / kSector) + ")";
}

}  // namespace

void User::fail(const std::string& what) {
    if (problem_.empty() && !what.empty()) problem_ = what + "\n  seen at: " + machine_.last_note();
}

bool User::open(const OpenOptions& options) {
    machine_.note(options.read_only ? "open read-only" : "open");
    try {
        disk_ = Disk::open(machine_.device(Side::main), machine_.device(Side::spare), options);
    } catch (const std::exception& refusal) {
        fail(std::string("open refused: ") + refusal.what());
        machine_.end_process();
        return false;
    }
    learn_homes();
    return true;
}

void User::close() {
    if (!disk_) return;
    machine_.note("close");
    const std::uint32_t since = machine_.place();
    const int error = disk_->close();
    if (error != 0) fail(std::string("close failed with ") + std::strerror(error));
    if (error == 0) machine_.mark({.kind = Mark::Kind::flushed, .since = since});
    disk_.reset();
}

void User::vanish(const InFlight& in_flight) {
    if (!disk_) return;
    machine_.end_process();
    for (const auto& asked : in_flight) wait(*asked);
    disk_.reset();
}

void User::vanish_during(During what, std::uint64_t calls, std::uint64_t offset,
                         std::uint64_t length) {
    machine_.note("killed during the next " + std::to_string(calls) + " calls");
    InFlight in_flight;
    if (what == During::open) vanish();
    machine_.end_process_after(calls);
    if (what == During::open) {
        try {
            disk_ = Disk::open(machine_.device(Side::main), machine_.device(Side::spare), {});
        } catch (const Refusal&) {  // devices that answer nothing any more
        }
    } else if (what == During::close) {
        disk_->close();
    } else if (auto asked = ask(Op::write, offset, length)) {
        wait(*asked);
        in_flight.push_back(std::move(asked));
    }
    if (disk_)
        vanish(in_flight);
    else
        machine_.end_process();
}

void User::wait(Asked& asked) {
    std::unique_lock lock(asked.mutex);
    asked.changed.wait(lock, [&] { return asked.finished; });
}

// Blocks on retired pages are moved away when nothing else is asked; salvage() waits for that.
void User::learn_homes() {
    if (disk_->status().retired_pages != 0) disk_->salvage();
    std::vector<RemapInfo> remaps;
    disk_->list_remaps([&](const RemapInfo& remap) { remaps.push_back(remap); });
    machine_.set_homes(remaps);
}

bool User::part_may_be_eio(std::uint64_t offset, std::uint64_t length) const {
    const Model& model = machine_.model();
    const std::uint64_t unit = model.unit() * kSector, end = offset + length;
    return (offset % unit != 0 && model.may_be_eio(offset / kSector)) ||
           (end % unit != 0 && model.may_be_eio((end - 1) / kSector));
}

bool User::rest_may_be_eio(std::uint64_t first, std::uint64_t count) const {
    const Model& model = machine_.model();
    const std::uint64_t from = first / 8 * 8, to = (first + count + 7) / 8 * 8;
    for (std::uint64_t s = from; s < std::min<std::uint64_t>(to, model.area().place.size()); ++s)
        if ((s < first || s >= first + count) && model.may_be_eio(s)) return true;
    return false;
}

std::unique_ptr<User::Asked> User::ask(Op op, std::uint64_t offset, std::uint64_t length,
                                       bool durable) {
    const std::uint64_t end = offset + length;
    auto asked = std::make_unique<Asked>();
    asked->first = offset / kSector;
    asked->count = (end + kSector - 1) / kSector - asked->first;
    asked->value = values_.next();
    asked->user = this;
    auto still = machine_.still();
    const Model& model = machine_.model();
    for (std::uint64_t s = asked->first; op != Op::read && s < asked->first + asked->count; ++s) {
        const std::uint64_t begin = std::max(offset, s * kSector) - s * kSector;
        const std::uint64_t stop = std::min(end, (s + 1) * kSector) - s * kSector;
        Bytes content{};
        if (stop - begin < kSector) {
            const auto old = model.only_value(s);
            if (!old || op == Op::discard) return nullptr;
            content = values_.of(*old);
        }
        Bytes fresh{};
        if (op == Op::write) fresh = values_.of(values_.add_fresh());
        std::memcpy(content.data() + begin, fresh.data() + begin, stop - begin);
        if (op == Op::write) values_.forget_from(values_.next() - 1);
        values_.add(content.data());
        asked->data.insert(asked->data.end(), content.begin() + static_cast<std::ptrdiff_t>(begin),
                           content.begin() + static_cast<std::ptrdiff_t>(stop));
    }
    if (op == Op::read) asked->data.resize(length);
    still.unlock();
    machine_.note(range_text(op, offset, length) + (durable ? ", durable" : ""));
    if (op != Op::read)
        machine_.mark({.kind = Mark::Kind::asked,
                       .on = op != Op::discard,
                       .value = asked->value,
                       .first = asked->first,
                       .count = asked->count});
    asked->request.op = op;
    asked->request.offset = offset;
    asked->request.length = length;
    asked->request.data = asked->data.data();
    asked->request.durable = durable;
    asked->request.context = asked.get();
    asked->request.done = [](Request& request, int error) {
        auto& self = *static_cast<Asked*>(request.context);
        if (request.op != Op::read)
            self.user->machine_.mark({.kind = Mark::Kind::answered,
                                      .error = error,
                                      .value = self.value,
                                      .first = self.first,
                                      .count = self.count});
        const std::lock_guard lock(self.mutex);
        self.error = error;
        self.finished = true;
        self.changed.notify_all();
    };
    disk_->submit(asked->request);
    return asked;
}

void User::run(Op op, std::uint64_t offset, std::uint64_t length, bool durable) {
    if (const auto asked = ask(op, offset, length, durable)) {
        wait(*asked);
        judge(*asked);
        if (durable && asked->error == 0)
            machine_.mark({.kind = Mark::Kind::flushed, .since = machine_.place()});
    }
    learn_homes();
}

void User::finish(std::unique_ptr<Asked> asked) {
    if (!asked) return;
    wait(*asked);
    judge(*asked);
}

void User::judge(const Asked& asked) {
    const Request& request = asked.request;
    const auto still = machine_.still();
    const Model& model = machine_.model();
    if (asked.error == 0) {
        if (request.op == Op::read)
            judge_data(asked.first, asked.count, request.offset, asked.data.data(), request.length);
        return;
    }
    const DiskStatus status = disk_->status();
    bool explained = false;
    if (request.op == Op::read)
        for (std::uint64_t s = asked.first; s < asked.first + asked.count; ++s)
            explained |= model.may_be_eio(s);
    else
        explained = part_may_be_eio(request.offset, request.length) ||
                    (status.retired_pages != 0 && rest_may_be_eio(asked.first, asked.count));
    if (explained && asked.error == EIO) return;
    if (request.op != Op::read && no_slot_in_reach(asked.error)) return;
    std::string text = range_text(request.op, request.offset, request.length) + " failed with " +
                       std::strerror(asked.error) + ", which nothing explains; state " +
                       state_name(status.state);
    for (const Cause& cause : status.causes)
        text += ", " + std::string(cause.name) + " (" + cause.text + ")";
    fail(text);
}

void User::judge_data(std::uint64_t first, std::uint64_t count, std::uint64_t offset,
                      const std::byte* data, std::uint64_t length) {
    const Model& model = machine_.model();
    for (std::uint64_t s = first; s < first + count; ++s) {
        const std::uint64_t from = std::max(offset, s * kSector);
        const std::uint64_t to = std::min(offset + length, (s + 1) * kSector);
        const std::byte* const got = data + (from - offset);
        if (model.area().place[s] < 0) continue;
        if (to - from < kSector) {
            const auto value = model.only_value(s);
            if (value &&
                std::memcmp(values_.of(*value).data() + from % kSector, got, to - from) != 0)
                fail("a part of sector " + std::to_string(s) + " is not what was written there");
            continue;
        }
        if (model.visible(s, got, values_)) continue;
        const auto value = values_.find(got);
        fail("sector " + std::to_string(s) + " reads as " +
             (value ? "value " + std::to_string(*value) : "bytes that nobody wrote") +
             (std::all_of(got, got + kSector, [](std::byte b) { return b == std::byte{0}; })
                  ? " (zeros)"
                  : "") +
             "; right is: " + model.text(s));
    }
}

void User::flush() {
    machine_.note("flush");
    const std::uint32_t since = machine_.place();
    const int error = disk_->flush();
    if (error != 0)
        fail(std::string("flush failed with ") + std::strerror(error));
    else
        machine_.mark({.kind = Mark::Kind::flushed, .since = since});
}

// What comes back is durable when salvage() returns, and stays.
void User::salvage() {
    machine_.note("salvage");
    const std::uint64_t came_back = disk_->salvage();
    learn_homes();
    for (const std::uint64_t s : machine_.model().area().sectors) {
        const auto remap = machine_.remaps().find(s / DMR_SECTORS_PER_BLOCK);
        if (came_back == 0 || remap == machine_.remaps().end() || !machine_.model().may_be_eio(s) ||
            (remap->second.lost >> s % DMR_SECTORS_PER_BLOCK & 1) != 0 ||
            machine_.volume(Side::spare)
                .unreadable(remap->second.spare_sector + s % DMR_SECTORS_PER_BLOCK))
            continue;
        machine_.mark({.kind = Mark::Kind::regained, .first = s, .count = 1});
    }
}

void User::remap(std::uint64_t sector, std::uint64_t count) {
    const std::string what =
        "remap of sectors " + std::to_string(sector) + "+" + std::to_string(count);
    machine_.note(what);
    const RangeResult result = disk_->remap(sector, count);
    judge_by_hand(what, result, no_slot_in_reach(result.error));
    learn_homes();
}

void User::unmap(std::uint64_t sector, std::uint64_t count) {
    const std::string what =
        "unmap of sectors " + std::to_string(sector) + "+" + std::to_string(count);
    machine_.note(what);
    const bool may_refuse = may_refuse_unmap(sector, count);
    const RangeResult result = disk_->unmap(sector, count);
    judge_by_hand(what, result, may_refuse || disk_->status().retired_pages != 0);
    learn_homes();
}

bool User::may_refuse_unmap(std::uint64_t sector, std::uint64_t count) const {
    const auto& faults = machine_.faults()[index(Side::main)];
    const auto fault = faults.lower_bound(sector);
    if (fault != faults.end() && *fault < sector + count) return true;
    for (std::uint64_t s = sector; s < sector + count; ++s)
        if (machine_.model().may_be_eio(s)) return true;
    return disk_->status().retired_pages != 0;
}

// The free slots may all be on the page that is out of reach.
bool User::no_slot_in_reach(int error) const {
    return error == ENOSPC && disk_->status().retired_pages != 0;
}

void User::judge_by_hand(const std::string& what, const RangeResult& result, bool may_refuse) {
    if (result.refused == 0 || may_refuse) return;
    fail(what + ": " + std::to_string(result.refused) + " blocks refused, the first one with " +
         std::strerror(result.error) + ", which nothing explains");
}

void User::read_area(bool settle_all, const std::set<std::uint64_t>& but_for) {
    machine_.note("read everything");
    const auto& sectors = machine_.model().area().sectors;
    std::byte data[DMR_BLOCK_SIZE];
    for (std::size_t i = 0; i < sectors.size() && problem_.empty();) {
        const std::uint64_t first = sectors[i];
        std::uint64_t end = first;
        const bool settle = settle_all && !but_for.contains(first / DMR_SECTORS_PER_BLOCK);
        while (i < sectors.size() && sectors[i] == end && end < first + DMR_SECTORS_PER_BLOCK)
            ++end, ++i;
        const int error = disk_->read(first * kSector, data, (end - first) * kSector);
        if (error == EIO) {
            read_by_unit(first, end, settle);
        } else if (error != 0) {
            fail("read of sectors " + std::to_string(first) + " to " + std::to_string(end - 1) +
                 " failed with " + std::strerror(error));
        } else {
            judge_data(first, end - first, first * kSector, data, (end - first) * kSector);
            if (settle) settle_sectors(first, end - first, data);
        }
    }
    learn_homes();
}

void User::read_by_unit(std::uint64_t first, std::uint64_t end, bool settle) {
    const std::uint64_t unit = machine_.model().unit();
    std::byte data[DMR_BLOCK_SIZE];
    bool failed = false;
    for (std::uint64_t s = first; s < end; s += unit) {
        const int error = disk_->read(s * kSector, data, unit * kSector);
        failed |= error != 0;
        if (error != 0 && (error != EIO || !machine_.model().may_be_eio(s)))
            fail("sector " + std::to_string(s) + " reads as " + std::strerror(error) +
                 "; right is: " + machine_.model().text(s));
        if (error != 0) continue;
        judge_data(s, unit, s * kSector, data, unit * kSector);
        if (settle) settle_sectors(s, unit, data);
    }
    if (!failed)
        fail("block at sector " + std::to_string(first) +
             " reads as EIO, and each of its sectors reads well");
}

void User::settle_sectors(std::uint64_t first, std::uint64_t count, const std::byte* data) {
    for (std::uint64_t s = first; s < first + count; ++s) {
        if (machine_.model().versions(s) == 1) continue;
        const std::uint32_t value =
            machine_.model().value_of(s, data + (s - first) * kSector, values_);
        if (value == Values::kEio) continue;  // already a problem
        machine_.mark({.kind = Mark::Kind::settled, .value = value, .first = s, .count = 1});
    }
}

void User::check_remaps() {
    std::set<std::uint64_t> slots;
    const Model& model = machine_.model();
    disk_->list_remaps([&](const RemapInfo& remap) {
        const std::string at = "remap of sector " + std::to_string(remap.sector);
        if (!slots.insert(remap.spare_sector).second) fail(at + " shares its slot");
        for (std::uint64_t i = 0; i < DMR_SECTORS_PER_BLOCK; ++i) {
            const std::uint64_t s = remap.sector + i;
            if (s >= model.area().place.size() || model.area().place[s] < 0) {
                if (s * kSector < disk_->size()) fail(at + ", which nobody ever touched");
                continue;
            }
            if ((remap.lost >> i & 1) != 0 && !model.may_be_eio(s))
                fail("sector " + std::to_string(s) + " is lost; right is: " + model.text(s));
        }
        if ((remap.retry & ~remap.lost) != 0) fail(at + " has retry sectors that are not lost");
    });
}

}  // namespace dmremap::test
