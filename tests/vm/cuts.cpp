// SPDX-License-Identifier: GPL-2.0-or-later
// Power cuts of a guest that ran the kernel target: vm_cuts TAPE COUNT SEED [FOLDER SAMPLES]
//
// The tape (tape.h) holds all that the virtual disks were asked for: 0 is main, 1 the spare, 2 the
// notes. COUNT places on it, spread over the time since the first note, are cut at: what a disk had
// flushed is kept, of what it had not each write is kept or dropped by chance, or a part of its
// sectors is. The pair that is left
//   * is examined as `dmremapctl check` does it, and must have nothing fatal
//   * is opened by the core, and each sector must hold what its user may find (history.h), with no
//   two
//     blocks in one slot
//   * is closed, and then has nothing left to repair
// SAMPLES of the pairs are written to FOLDER for the guest to open (cases.h). A failure names its
// place and the seed. Exit 0: all were right, 1: one was not, 2: usage, or the tape is not what it
// must be.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/device/memory_device.h"
#include "core/disk.h"
#include "core/meta/examine.h"
#include "core/meta/opening_checks.h"
#include "core/refusal.h"
#include "tests/vm/cases.h"
#include "tests/vm/history.h"
#include "tests/vm/tape.h"

namespace dmremap::test {

namespace {

constexpr std::uint32_t kMain = 0, kSpare = 1, kNotes = 2, kDisks = 3;

struct Event {
    TapeEntry entry;
    std::vector<char> bytes;
};

std::vector<Event> load(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<Event> tape;
    Event event;
    while (file.read(reinterpret_cast<char*>(&event.entry), sizeof(event.entry))) {
        event.bytes.resize(event.entry.kind == TapeEntry::Kind::write ? event.entry.length : 0);
        if (event.entry.disk >= kDisks ||
            !file.read(event.bytes.data(), static_cast<std::streamsize>(event.bytes.size())))
            throw std::runtime_error("the tape ends within an entry");
        tape.push_back(event);
    }
    return tape;
}

struct BadRange {
    std::uint64_t first, end;  // bytes
    bool unreadable;
};

// Main with the sectors that are bad at the cut.
class BadDevice final : public Device {
public:
    BadDevice(std::unique_ptr<Device> device, std::vector<BadRange> bad)
        : device_(std::move(device)), bad_(std::move(bad)) {}
    const DeviceInfo& info() const override { return device_->info(); }
    void submit(Io& io) override {
        for (const auto& [first, end, unreadable] : bad_)
            if (io.op != Op::flush && (io.op != Op::read || unreadable) && io.offset < end &&
                io.offset + io.length > first) {
                io.complete(EIO);
                return;
            }
        device_->submit(io);
    }

private:
    const std::unique_ptr<Device> device_;
    const std::vector<BadRange> bad_;
};

class Cutter {
public:
    Cutter(std::vector<Event> tape, std::uint64_t seed) : tape_(std::move(tape)), random_(seed) {
        for (std::size_t i = 0; i < tape_.size() && tape_[i].entry.kind != TapeEntry::Kind::write;
             i++)
            if (tape_[i].entry.kind == TapeEntry::Kind::disk)
                durable_[tape_[i].entry.disk].resize(tape_[i].entry.length);
        history_ = std::make_unique<History>(durable_[kMain].size() / kSector);
    }

    std::size_t first_note() const {
        for (std::size_t i = 0; i < tape_.size(); i++)
            if (is_note(tape_[i])) return i;
        throw std::runtime_error("there are no notes on the tape");
    }
    std::size_t end() const { return tape_.size(); }

    // Goes on to a place.
    void play_to(std::size_t place) {
        for (; at_ < place; at_++) play(tape_[at_]);
    }

    // What one cut here leaves of a disk.
    std::shared_ptr<MemoryImage> cut(std::uint32_t disk) {
        auto image = std::make_shared<MemoryImage>(durable_[disk].size());
        const auto bytes = image->bytes();
        std::memcpy(bytes.data(), durable_[disk].data(), durable_[disk].size());
        const unsigned style = static_cast<unsigned>(random_() % 6);
        for (const std::size_t index : open_[disk]) {
            const Event& event = tape_[index];
            const bool whole =
                event.entry.fua != 0 || style == 0 || (style > 1 && random_() % 2 != 0);
            const bool part = !whole && style > 1 && random_() % 4 == 0;
            for (std::uint64_t i = 0; i < event.entry.length; i += kSector)
                if (whole || (part && random_() % 2 != 0))
                    std::memcpy(bytes.data() + event.entry.offset + i, event.bytes.data() + i,
                                kSector);
        }
        return image;
    }

    const History& history() const { return *history_; }
    const std::vector<BadRange>& bad() const { return bad_; }
    std::size_t open_writes() const { return open_[kMain].size() + open_[kSpare].size(); }

private:
    static bool is_note(const Event& event) {
        return event.entry.kind == TapeEntry::Kind::write && event.entry.disk == kNotes;
    }
    void apply(std::size_t index) {
        const Event& event = tape_[index];
        std::memcpy(durable_[event.entry.disk].data() + event.entry.offset, event.bytes.data(),
                    event.bytes.size());
    }
    void play(const Event& event) {
        const std::uint32_t disk = event.entry.disk;
        if (is_note(event)) {
            for (std::size_t i = 0; i + kSector <= event.bytes.size(); i += kSector) {
                Note note;
                std::memcpy(&note, event.bytes.data() + i, sizeof(note));
                if (note.magic == Note::kMagic) history_->take(note, at_);
            }
            return;
        }
        switch (event.entry.kind) {
            case TapeEntry::Kind::disk:
                break;
            case TapeEntry::Kind::write:
                open_[disk].push_back(at_);
                break;
            case TapeEntry::Kind::flush:
                for (const std::size_t index : open_[disk]) apply(index);
                open_[disk].clear();
                break;
            case TapeEntry::Kind::bad:
                if (disk != kMain) throw std::runtime_error("only main may have bad sectors");
                bad_.push_back({event.entry.offset, event.entry.offset + event.entry.length,
                                event.entry.unreadable != 0});
                if (event.entry.unreadable != 0)
                    history_->bad(event.entry.offset / kSector, event.entry.length / kSector, at_);
        }
    }

    const std::vector<Event> tape_;
    std::mt19937_64 random_;
    std::size_t at_ = 0;
    std::vector<char> durable_[kDisks];
    std::vector<std::size_t> open_[kDisks];  // written since the last flush
    std::vector<BadRange> bad_;
    std::unique_ptr<History> history_;
};

struct CutPair {
    std::shared_ptr<MemoryImage> main, spare;
};

std::unique_ptr<Device> spare_device(const CutPair& pair, std::string identity = "") {
    return renamed(make_memory_device(pair.spare, "SPARE"), std::move(identity));
}

// "" or what is wrong.
std::string examine(const CutPair& pair, bool closed) {
    const SpareReport report = examine_spare(*spare_device(pair), true);
    if (!report.fatal.empty()) return "check: " + report.fatal.front();
    if (closed && !report.repairable.empty())
        return "closed, and check: " + report.repairable.front();
    return "";
}

std::string read_all(Disk& disk, const History& history) {
    std::vector<char> data(4096);
    for (std::uint64_t at = 0; at < disk.size(); at += data.size()) {
        const bool whole = disk.read(at, data.data(), data.size()) == 0;
        for (std::uint64_t i = 0; i < data.size(); i += kSector) {
            const int error = whole ? 0 : disk.read(at + i, data.data() + i, kSector);
            if (error != 0 && error != EIO) return std::string("read: ") + std::strerror(error);
            const std::string wrong =
                history.judge((at + i) / kSector, error == 0 ? data.data() + i : nullptr);
            if (!wrong.empty()) return wrong;
        }
    }
    return "";
}

std::string judge(const CutPair& pair, const Cutter& cutter) {
    std::string wrong = examine(pair, false);
    if (!wrong.empty()) return wrong;
    const dmr_superblock sb = examine_spare(*spare_device(pair), false).superblock;
    OpenOptions options;
    options.take_over = true;
    auto main =
        renamed(std::make_unique<BadDevice>(make_memory_device(pair.main, "MAIN"), cutter.bad()),
                field_text(sb.main_text, DMR_IDENTITY_TEXT));
    try {
        const auto disk =
            Disk::open(std::move(main),
                       spare_device(pair, field_text(sb.spare_text, DMR_IDENTITY_TEXT)), options);
        std::set<std::uint64_t> slots;
        bool shared = false;
        disk->list_remaps(
            [&](const RemapInfo& remap) { shared |= !slots.insert(remap.slot).second; });
        if (shared) return "two blocks share a slot";
        wrong = read_all(*disk, cutter.history());
        if (wrong.empty() && disk->close() != 0) wrong = "the close failed";
    } catch (const Refusal& refusal) {
        return std::string("opening: ") + refusal.what();
    }
    return wrong.empty() ? examine(pair, true) : wrong;
}

void write_sample(CaseWriter& writer, const CutPair& pair, const std::string& name) {
    const auto image = [](const char* device, MemoryImage& from) {
        auto to = std::make_shared<fuzz::SparseImage>(device, from.size(), 512, 512);
        to->poke(0, from.bytes().data(), from.size());
        return to;
    };
    const fuzz::BasePair base{image("MAIN", *pair.main), image("SPARE", *pair.spare), {}};
    writer.main(name + ".main", *base.main);
    writer.add(name, name + ".main", base);
}

int run(int argc, char** argv) {
    const auto count = std::stoull(argv[2]), seed = std::stoull(argv[3]);
    const std::uint64_t samples = argc > 5 ? std::stoull(argv[5]) : 0;
    std::unique_ptr<CaseWriter> writer;
    if (samples != 0) writer = std::make_unique<CaseWriter>(argv[4]);
    Cutter cutter(load(argv[1]), seed);
    const std::size_t begin = cutter.first_note(), length = cutter.end() - begin;
    std::uint64_t open_writes = 0;
    for (std::uint64_t i = 0; i < count; i++) {
        // One in each stretch of the tape.
        std::mt19937_64 random(seed * 1000003 + i);
        const std::size_t from = begin + length * i / count, to = begin + length * (i + 1) / count;
        const std::size_t place = from + random() % std::max<std::size_t>(1, to - from);
        cutter.play_to(place);
        open_writes += cutter.open_writes();
        const CutPair pair{cutter.cut(kMain), cutter.cut(kSpare)};
        if (samples != 0 && i % std::max<std::uint64_t>(1, count / samples) == 0)
            write_sample(*writer, pair, "cut-" + std::to_string(place));
        const std::string wrong = judge(pair, cutter);
        if (wrong.empty()) continue;
        std::printf("WRONG: cut at %zu of %zu, seed %llu, cut %llu of %llu: %s\n", place,
                    cutter.end(), seed, static_cast<unsigned long long>(i), count, wrong.c_str());
        return 1;
    }
    std::printf("%llu power cuts, %llu flushes, %llu writes open in all: nothing wrong\n", count,
                static_cast<unsigned long long>(cutter.history().flushes()),
                static_cast<unsigned long long>(open_writes));
    return 0;
}

}  // namespace

}  // namespace dmremap::test

int main(int argc, char** argv) {
    if (argc != 4 && argc != 6) {
        std::fprintf(stderr, "usage: vm_cuts TAPE COUNT SEED [FOLDER SAMPLES]\n");
        return 2;
    }
    try {
        return dmremap::test::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "vm_cuts: %s\n", error.what());
        return 2;
    }
}
