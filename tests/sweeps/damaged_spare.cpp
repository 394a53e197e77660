// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/sweeps/damaged_spare.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <random>

#include "core/meta/examine.h"
#include "core/refusal.h"

namespace dmremap::test {

namespace {

bool writes(Op op) { return op == Op::write || op == Op::zero || op == Op::discard; }

// Whatever is thrown becomes the problem; a Refusal is one too, where it comes through to here.
template <typename Step>
std::string guarded(const char* name, Step step) {
    try {
        return step();
    } catch (const std::exception& e) {
        return std::string(name) + " throws: " + e.what();
    }
}

std::string causes(const Disk& disk) {
    std::string text;
    for (const Cause& cause : disk.status().causes)
        text += "; " + std::string(cause.name) + ": " + cause.text;
    return text;
}

}  // namespace

DamagedSpare::DamagedSpare(History& history) : history_(history), buffer_(history.truth.size()) {
    const auto note = [this](const Call& call, bool spare) {
        if (writes(call.op)) {
            const std::lock_guard lock(mutex_);
            ++(spare ? spare_writes_ : main_writes_);
            if (spare) written_.emplace_back(call.offset, call.length);
        }
        return Medium::kPass;
    };
    history.pair.main->set_hook([note](const Call& call) { return note(call, false); });
    history.pair.spare->set_hook([note](const Call& call) { return note(call, true); });
}

DamagedSpare::~DamagedSpare() {
    restore();
    history_.pair.main->set_hook(nullptr);
    history_.pair.spare->set_hook(nullptr);
}

void DamagedSpare::apply(const Damage& damage) {
    Medium& spare = *history_.pair.spare;
    if (damage.bytes.empty())
        spare.set_fault(damage.offset / kSector, damage.length / kSector, damage.fault);
    else
        spare.poke(damage.offset, damage.bytes.data(), damage.bytes.size());
}

void DamagedSpare::write(std::uint64_t offset, const void* data, std::uint64_t length) {
    const auto* const from = static_cast<const std::byte*>(data);
    damage_.push_back({offset, {from, from + length}, length, {}});
    apply(damage_.back());
}

void DamagedSpare::flip(std::uint64_t offset, unsigned bit) {
    const std::byte flipped =
        history_.spare[offset] ^ std::byte{static_cast<unsigned char>(1u << bit)};
    write(offset, &flipped, 1);
}

void DamagedSpare::fill(std::uint64_t offset, std::uint64_t length, std::byte value) {
    const std::vector<std::byte> bytes(length, value);
    write(offset, bytes.data(), length);
}

void DamagedSpare::garble(std::uint64_t offset, std::uint64_t length, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::byte> bytes(length);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    write(offset, bytes.data(), length);
}

void DamagedSpare::take_from(const std::vector<std::byte>& image, std::uint64_t from,
                             std::uint64_t to, std::uint64_t length) {
    write(to, image.data() + from, length);
}

void DamagedSpare::unreadable(std::uint64_t offset, std::uint64_t length, bool for_good) {
    Fault fault;
    fault.read = true;
    fault.heals = !for_good;
    damage_.push_back({offset, {}, length, fault});
    apply(damage_.back());
}

void DamagedSpare::unwritable(std::uint64_t offset, std::uint64_t length) {
    Fault fault;
    fault.read = fault.write = true;
    damage_.push_back({offset, {}, length, fault});
    apply(damage_.back());
}

// The undamaged spare, but for what was never touched.
void DamagedSpare::restore() {
    Medium& spare = *history_.pair.spare;
    spare.heal_all();
    for (const auto& [offset, length] : written_)
        spare.poke(offset, history_.spare.data() + offset, length);
    for (const Damage& damage : damage_)
        spare.poke(damage.offset, history_.spare.data() + damage.offset, damage.bytes.size());
    written_.clear();
    damage_.clear();
    main_writes_ = spare_writes_ = 0;
}

// Takes back what the last step wrote.
void DamagedSpare::again_as_damaged() {
    const std::vector<Damage> damage = damage_;
    restore();
    damage_ = damage;
    for (const Damage& one : damage_) apply(one);
}

DamagedSpare::Way DamagedSpare::open(bool read_only, bool rescue) {
    Way way;
    OpenOptions options;
    options.read_only = read_only;
    options.rescue = rescue;
    // The last events come when the disk is destroyed; `way` may have been moved by then.
    const auto recovered = std::make_shared<bool>(false);
    options.on_event = [recovered](const Event& event) {
        if (event.kind == EventKind::recovered) *recovered = true;
    };
    ++opened_;
    try {
        way.disk = Disk::open(history_.pair.main->device(), history_.pair.spare->device(), options);
    } catch (const Refusal& refusal) {
        way.refusal = refusal.what();
        if (way.refusal.empty()) throw std::runtime_error("a Refusal without a sentence");
        return way;
    }
    way.recovered = *recovered;
    for (const Cause& cause : way.disk->status().causes) way.rescue_cause |= cause.name == "rescue";
    return way;
}

void DamagedSpare::kill(Way& way) {
    history_.pair.power->cut_now();
    way.disk.reset();
    history_.pair.power->on();
}

std::string DamagedSpare::writes_seen(const char* step, bool to_spare_too) {
    const std::lock_guard lock(mutex_);
    if (main_writes_ != 0) return std::string(step) + " wrote to main";
    if (to_spare_too && spare_writes_ != 0) return std::string(step) + " wrote to the spare";
    return "";
}

// As it must, as main has it, or as an older claim's slot has it; or EIO.
std::string DamagedSpare::wrong_block(Disk& disk, std::uint64_t block) {
    const std::uint64_t offset = block * kBlock;
    const std::uint64_t length = std::min<std::uint64_t>(kBlock, history_.truth.size() - offset);
    std::vector<std::vector<std::byte>> versions{history_.pair.main->peek(offset, length)};
    const auto from = history_.truth.begin() + static_cast<std::ptrdiff_t>(offset);
    versions.emplace_back(from, from + static_cast<std::ptrdiff_t>(length));
    for (const std::uint64_t slot : history_.slots_of(block))
        versions.push_back(
            history_.pair.spare->peek(dmr_slot_offset(&history_.superblock, slot), length));
    const std::uint64_t unit = disk.logical_block();
    for (std::uint64_t at = 0; at < length; at += unit) {
        const int error = disk.read(offset + at, buffer_.data(), unit);
        if (error == EIO) continue;
        if (error != 0) return "fails with " + std::string(std::strerror(error));
        if (std::none_of(versions.begin(), versions.end(), [&](const auto& version) {
                return std::memcmp(buffer_.data(), version.data() + at, unit) == 0;
            }))
            return "reads as nobody has it";
    }
    return "";
}

std::string DamagedSpare::wrong_data(Disk& disk, const std::vector<std::uint64_t>& unknown) {
    const auto range = [&](std::uint64_t offset, std::uint64_t length, bool lost) -> std::string {
        const int error = disk.read(offset, buffer_.data(), length);
        const std::string where =
            "sectors " + std::to_string(offset / kSector) + "+" + std::to_string(length / kSector);
        if (error != (lost ? EIO : 0))
            return where +
                   (error ? std::string(" fail with ") + std::strerror(error)
                          : " were lost and read well") +
                   causes(disk);
        if (!lost && std::memcmp(buffer_.data(), history_.truth.data() + offset, length) != 0)
            return where + " read wrong";
        return "";
    };
    for (const History::Stretch& stretch : history_.stretches) {
        std::uint64_t at = stretch.offset;
        const std::uint64_t end = stretch.offset + stretch.length;
        for (const std::uint64_t block : unknown) {
            const std::uint64_t begin = std::clamp(block * kBlock, at, end);
            const std::uint64_t stop = std::clamp((block + 1) * kBlock, at, end);
            if (begin == stop) continue;
            if (begin > at)
                if (auto problem = range(at, begin - at, stretch.lost); !problem.empty())
                    return problem;
            at = stop;
        }
        if (at < end)
            if (auto problem = range(at, end - at, stretch.lost); !problem.empty()) return problem;
    }
    for (const std::uint64_t block : unknown)
        if (auto problem = wrong_block(disk, block); !problem.empty())
            return "block " + std::to_string(block) + " " + problem;
    return "";
}

std::string DamagedSpare::left_to_repair(const char* step, const Expect& expect) {
    const auto device = history_.pair.spare->device();
    const SpareReport report = examine_spare(*device, expect.table);
    const std::string after = std::string("after ") + step + ": ";
    if (!report.fatal.empty()) return after + report.fatal.front();
    if (expect.may_stay) return "";
    if (!report.repairable.empty()) return after + report.repairable.front();
    for (const SuperblockCopy& copy : report.copies)
        if (copy.verdict != DMR_OK || !copy.newest) return after + "a superblock copy is bad";
    return "";
}

std::string DamagedSpare::way_in(const char* step, bool read_only, const Expect& expect,
                                 bool second) {
    return guarded(step, [&]() -> std::string {
        Way way = open(read_only);
        if (!way.disk) return std::string(step) + " is refused: " + way.refusal;
        if (second && way.recovered && !expect.may_stay)
            return std::string(step) + " had something to recover";
        std::string problem = wrong_data(*way.disk);
        if (problem.empty() && expect.kill && !read_only) {
            kill(way);
        } else if (problem.empty()) {
            const int error = way.disk->close();
            if (error != 0 && !expect.may_stay)
                problem = std::string("close fails with ") + std::strerror(error);
        }
        way.disk.reset();
        if (problem.empty()) problem = writes_seen(step, read_only);
        return problem.empty() ? "" : std::string(step) + ": " + problem;
    });
}

std::string DamagedSpare::reads(const Expect& expect) {
    again_as_damaged();
    const std::string problem = guarded("check", [&]() -> std::string {
        const auto device = history_.pair.spare->device();
        const SpareReport report = examine_spare(*device, expect.table);
        if (!report.fatal.empty()) return "check finds fatal: " + report.fatal.front();
        if (expect.noticed && report.repairable.empty()) return "check finds nothing to repair";
        return writes_seen("check", true);
    });
    return problem.empty() ? way_in("opening read-only", true, expect) : problem;
}

std::string DamagedSpare::opens(const Expect& expect) {
    again_as_damaged();
    const std::string problem = way_in("opening", false, expect);
    return problem.empty() ? guarded("check", [&] { return left_to_repair("opening", expect); })
                           : problem;
}

std::string DamagedSpare::opens_as_it_is() {
    const std::string problem = way_in("opening", false, {});
    return problem.empty() ? guarded("check", [&] { return left_to_repair("opening", {}); })
                           : problem;
}

std::string DamagedSpare::opens_twice(const Expect& expect) {
    const std::string problem = opens(expect);
    return problem.empty() ? way_in("opening again", false, expect, true) : problem;
}

std::string DamagedSpare::repairs(const Expect& expect) {
    again_as_damaged();
    const std::string problem = guarded("repair", [&]() -> std::string {
        const auto device = history_.pair.spare->device();
        const std::vector<std::string> done = repair_spare(*device);
        if (expect.noticed && done.empty()) return "repair found nothing to do";
        return left_to_repair("repair", expect);
    });
    if (!problem.empty()) return problem;
    {
        const std::lock_guard lock(mutex_);
        spare_writes_ = 0;
    }
    return way_in("opening read-only after repair", true, expect);
}

std::string DamagedSpare::recovers(const Expect& expect) {
    std::string problem = reads(expect);
    if (problem.empty()) problem = repairs(expect);
    if (problem.empty()) problem = opens_twice(expect);
    return problem;
}

std::string DamagedSpare::refused(const std::string& word) {
    again_as_damaged();
    const std::vector<std::byte> before = history_.pair.spare->snapshot();
    const auto fits = [&](const char* step, const std::string& sentence) -> std::string {
        if (sentence.empty()) return std::string(step) + " is not refused";
        if (sentence.find(word) == std::string::npos)
            return std::string(step) + " is refused for another reason: " + sentence;
        return "";
    };
    for (const bool read_only : {false, true}) {
        const char* const step = read_only ? "opening read-only" : "opening";
        const std::string problem =
            guarded(step, [&] { return fits(step, open(read_only).refusal); });
        if (!problem.empty()) return problem;
    }
    const auto device = history_.pair.spare->device();
    const std::string problem = guarded("repair or check", [&]() -> std::string {
        std::string sentence;
        try {
            repair_spare(*device);
        } catch (const Refusal& refusal) {
            sentence = refusal.what();
        }
        if (auto wrong = fits("repair", sentence); !wrong.empty()) return wrong;
        return examine_spare(*device, true).fatal.empty() ? "check finds nothing fatal" : "";
    });
    if (!problem.empty()) return problem;
    if (before != history_.pair.spare->snapshot()) return "the refused spare was changed";
    return writes_seen("a refused way in", true);
}

std::string DamagedSpare::rescued(const std::string& word,
                                  const std::vector<std::uint64_t>& blocks) {
    if (auto problem = refused(word); !problem.empty()) return problem;
    return guarded("rescue", [&]() -> std::string {
        Way way = open(true, true);
        if (!way.disk) return "rescue is refused: " + way.refusal;
        if (!way.rescue_cause) return "rescue does not warn";
        std::string problem = wrong_data(*way.disk, blocks);
        way.disk.reset();
        return problem.empty() ? writes_seen("rescue", true) : "rescue: " + problem;
    });
}

std::string DamagedSpare::never_wrong() {
    for (const bool read_only : {true, false}) {
        again_as_damaged();
        const std::string problem = guarded("opening", [&]() -> std::string {
            Way way = open(read_only);
            if (!way.disk) {
                // A way in may be refused after writing began only because writing fails.
                const bool writing_failed =
                    way.refusal.find("cannot be written") != std::string::npos;
                return writes_seen("a refused way in", !writing_failed);
            }
            std::string wrong = wrong_data(*way.disk);
            way.disk.reset();
            return wrong.empty() ? writes_seen("opening", read_only) : wrong;
        });
        if (!problem.empty()) return problem;
    }
    return "";
}

// Blocks that were never remapped are written where main takes no writes, so that they are given
// slots; and one that lives in a slot is written anew.
std::string DamagedSpare::lives_on() {
    again_as_damaged();
    const std::vector<std::byte> before = history_.truth;
    Medium& main = *history_.pair.main;
    const auto write = [&](Disk& disk, std::uint64_t block) -> std::string {
        const auto bytes = pattern(block * 8, 8, 0xABCD);
        const int error = disk.write(block * kBlock, bytes.data(), kBlock);
        if (error == 0) std::memcpy(history_.truth.data() + block * kBlock, bytes.data(), kBlock);
        // Slots whose page has no copy that is all good are out of use.
        if (error == 0 || (error == ENOSPC && disk.status().retired_pages != 0)) return "";
        return "a write to block " + std::to_string(block) + " fails with " + std::strerror(error);
    };
    std::string problem = guarded("living on", [&]() -> std::string {
        Way way = open(false);
        if (!way.disk) return "opening is refused: " + way.refusal;
        Fault fault;
        fault.write = true;
        main.set_fault(0, kUntouchedBlocks * 8, fault);
        for (std::uint64_t block = 0; block <= kUntouchedBlocks; ++block)
            if (auto wrong = write(*way.disk, block); !wrong.empty()) return wrong;
        if (const int error = way.disk->flush())
            return std::string("flush fails with ") + std::strerror(error);
        if (auto wrong = wrong_data(*way.disk); !wrong.empty()) return wrong;
        kill(way);
        main.heal_all();
        way = open(false);
        if (!way.disk) return "opening again is refused: " + way.refusal;
        return wrong_data(*way.disk);
    });
    main.heal_all();
    history_.truth = before;
    return problem;
}

}  // namespace dmremap::test
