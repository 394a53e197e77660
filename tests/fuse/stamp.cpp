// SPDX-License-Identifier: GPL-2.0-or-later
// Writes sectors that tell which sector and version they are, kills the daemon behind them at a
// chosen moment, and says later whether what was acknowledged is still there. For kill9.sh.
//
//   stamp fill STATE FILE SECTORS       version 0 everywhere, and nothing acknowledged
//   stamp write STATE DISK SEED OPS PID some threads write, zero and flush until they have OPS
//                                       acknowledgements; then PID gets SIGKILL while they go on.
//                                       An error before that is a failure.
//   stamp verify STATE DISK FAULTS      every sector holds its last acknowledged version, or the
//                                       one that was under way at the kill. EIO is right only where
//                                       FAULTS made main unreadable and nothing was ever
//                                       acknowledged.
//
// STATE is a file outside the mount, mapped and shared: this process is not killed, and what it has
// written there stays when it ends. What verify sees is what must be seen from then on, for nothing
// but a write may change a sector.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/device/aligned_buffers.h"
#include "core/device/fault_text.h"

namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kChunk = 20;  // sectors of one owner: blocks of 8 have two of them
constexpr unsigned kThreads = 4;
constexpr std::uint64_t kPatience = 100;    // acknowledgements to wait for a better moment to kill
constexpr std::uint32_t kZeros = 1u << 31;  // set in a version that is all zeros

// Of one sector; changed by the thread that owns its chunk.
struct State {
    std::uint32_t acknowledged;  // version
    std::uint32_t under_way;     // version last written; the same once it is acknowledged
};

using Bytes = std::array<std::uint64_t, kSector / sizeof(std::uint64_t)>;

Bytes content(std::uint64_t sector, std::uint32_t version) {
    Bytes bytes{};
    if ((version & kZeros) != 0) return bytes;
    std::uint64_t word = sector << 32 | version;
    for (std::uint64_t& place : bytes) {
        place = word;
        word = (word ^ (word >> 31)) * 0x9e3779b97f4a7c15ull + 1;
    }
    return bytes;
}

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "stamp: %s\n", what.c_str());
    std::_Exit(1);
}

[[noreturn]] void fail_errno(const std::string& what) { fail(what + ": " + std::strerror(errno)); }

std::string at_sector(std::uint64_t sector) { return " at sector " + std::to_string(sector); }

// Memory and offsets fit for direct I/O.
dmremap::AlignedMemory aligned(std::uint64_t bytes) {
    constexpr std::uint64_t kUnit = dmremap::AlignedBuffers::kAlignment;
    dmremap::AlignedMemory memory = dmremap::allocate_aligned((bytes + kUnit - 1) / kUnit * kUnit);
    if (!memory) fail("no memory");
    return memory;
}

int open_disk(const char* path, int flags) {
    const int fd = ::open(path, flags | O_DIRECT | O_CLOEXEC);
    if (fd < 0) fail_errno(path);
    return fd;
}

std::span<State> map_state(const char* path) {
    const int fd = ::open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) fail_errno(path);
    const off_t size = ::lseek(fd, 0, SEEK_END);
    void* const memory =
        ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) fail_errno(path);
    ::close(fd);
    return {static_cast<State*>(memory), static_cast<std::size_t>(size) / sizeof(State)};
}

int fill(const char* state, const char* path, std::uint64_t sectors) {
    std::ofstream states(state, std::ios::binary);
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    for (std::uint64_t sector = 0; sector < sectors; sector++) {
        const State none{};
        states.write(reinterpret_cast<const char*>(&none), sizeof(none));
        const Bytes bytes = content(sector, 0);
        file.write(reinterpret_cast<const char*>(bytes.data()), kSector);
    }
    states.close();
    file.close();
    if (!states || !file) fail(std::string(path) + " cannot be filled");
    return 0;
}

std::vector<dmremap::FaultStatement> rules_of_main(const char* faults) {
    std::ifstream file(faults);
    std::stringstream text;
    text << file.rdbuf();
    auto rules = dmremap::parse_fault_text(text.str(), faults);
    std::erase_if(rules, [](const auto& rule) {
        return rule.verb != dmremap::FaultVerb::bad || !rule.main || rule.options.times != 0;
    });
    return rules;
}

class Writer {
public:
    Writer(std::span<State> states, const char* disk, const char* fresh, std::uint64_t seed,
           std::uint64_t ops, pid_t daemon)
        : states_(states), disk_(disk), seed_(seed), ops_(ops), daemon_(daemon) {
        for (const auto& rule : rules_of_main(fresh))
            for (std::uint64_t s = rule.first; rule.writes && s < rule.first + rule.count; s++)
                if (s < states_.size()) bad_[s / kChunk % kThreads].push_back(s);
    }

    int run() {
        for (const State& state : states_)
            version_ = std::max(version_.load(), state.acknowledged & ~kZeros);
        {
            std::vector<std::jthread> threads;
            for (unsigned i = 0; i < kThreads; i++) threads.emplace_back([this, i] { write(i); });
        }
        std::printf("%lu acknowledged\n", static_cast<unsigned long>(acknowledged_.load()));
        return 0;
    }

private:
    // Until the daemon is gone. The first thread's writes are each flushed by the kernel.
    void write(unsigned thread) {
        std::mt19937_64 random(seed_ * kThreads + thread);
        const int fd = open_disk(disk_, O_RDWR | (thread == 0 ? O_DSYNC : 0));
        const dmremap::AlignedMemory memory = aligned(kChunk * kSector);
        std::byte* const data = memory.get();
        const std::uint64_t chunks = states_.size() / kChunk;
        for (;;) {
            if (random() % 16 == 0) {
                if (!acknowledge("flush", 0, ::fdatasync(fd) == 0, false)) break;
                continue;
            }
            auto& bad = bad_[thread];
            if (random() % 16 == 0 && !bad.empty()) {
                if (!write_some(fd, data, bad.back(), 1, ++version_, true)) break;
                bad.pop_back();
                continue;
            }
            const std::uint64_t chunk = random() % (chunks / kThreads) * kThreads + thread;
            const std::uint64_t first = chunk * kChunk + random() % kChunk;
            const std::uint64_t count = 1 + random() % (chunk * kChunk + kChunk - first);
            const bool zeros = random() % 16 == 0;
            if (!write_some(fd, data, first, count, ++version_ | (zeros ? kZeros : 0), false))
                break;
        }
        ::close(fd);
    }

    bool write_some(int fd, std::byte* data, std::uint64_t first, std::uint64_t count,
                    std::uint32_t version, bool remaps) {
        for (std::uint64_t i = 0; i < count; i++) {
            states_[first + i].under_way = version;
            const Bytes bytes = content(first + i, version);
            std::memcpy(data + i * kSector, bytes.data(), kSector);
        }
        const auto offset = static_cast<off_t>(first * kSector);
        const auto length = static_cast<off_t>(count * kSector);
        const bool zeros = (version & kZeros) != 0;
        const bool done =
            zeros ? ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0
                  : ::pwrite(fd, data, static_cast<std::size_t>(length), offset) == length;
        if (!acknowledge(zeros ? "zeroing" : "write", first, done, remaps)) return false;
        for (std::uint64_t i = 0; i < count; i++) states_[first + i].acknowledged = version;
        return true;
    }

    // Counts, and kills at the right one. False: there is nobody to go on with.
    bool acknowledge(const char* what, std::uint64_t sector, bool done, bool good_moment) {
        if (!done) {
            if (!killed_) fail_errno(std::string(what) + at_sector(sector));
            return false;
        }
        const std::uint64_t count = ++acknowledged_;
        if (count >= ops_ + kPatience || (count >= ops_ && good_moment)) {
            if (!killed_.exchange(true) && ::kill(daemon_, SIGKILL) != 0) fail_errno("kill");
        }
        return true;
    }

    const std::span<State> states_;
    const char* const disk_;
    const std::uint64_t seed_, ops_;
    const pid_t daemon_;
    std::array<std::vector<std::uint64_t>, kThreads> bad_;  // sectors, each of its owner
    std::atomic<std::uint32_t> version_{0};
    std::atomic<std::uint64_t> acknowledged_{0};
    std::atomic<bool> killed_{false};
};

// The sectors of main that the fault file makes unreadable for good.
std::vector<bool> unreadable(const char* faults, std::uint64_t sectors) {
    std::vector<bool> bad(sectors);
    for (const auto& rule : rules_of_main(faults))
        for (std::uint64_t s = rule.first; rule.reads && s < rule.first + rule.count; s++)
            if (s < sectors) bad[s] = true;
    return bad;
}

class Verifier {
public:
    Verifier(std::span<State> states, const char* disk, std::vector<bool> bad)
        : states_(states), bad_(std::move(bad)), fd_(open_disk(disk, O_RDONLY)) {}

    int run() {
        for (std::uint64_t first = 0; first < states_.size(); first += kAtOnce)
            look(first, std::min<std::uint64_t>(kAtOnce, states_.size() - first));
        std::printf("%lu sectors lost\n", static_cast<unsigned long>(lost_));
        return 0;
    }

private:
    static constexpr std::uint64_t kAtOnce = 1024;  // sectors

    // What fails whole gives the rest in parts.
    void look(std::uint64_t first, std::uint64_t count) {
        const auto length = static_cast<ssize_t>(count * kSector);
        const ssize_t got = ::pread(fd_, data_, static_cast<std::size_t>(length),
                                    static_cast<off_t>(first * kSector));
        if (got < 0 && errno != EIO) fail_errno("read" + at_sector(first));
        if (got >= 0 && got != length) fail("a short read" + at_sector(first));
        if (got == length) {
            for (std::uint64_t i = 0; i < count; i++) judge(first + i, data_ + i * kSector);
        } else if (count > 1) {
            look(first, count / 2);
            look(first + count / 2, count - count / 2);
        } else {
            if (!bad_[first] || states_[first].acknowledged != 0)
                fail("EIO where nothing is lost" + at_sector(first));
            lost_++;
        }
    }

    void judge(std::uint64_t sector, const std::byte* bytes) {
        State& state = states_[sector];
        for (const std::uint32_t version : {state.acknowledged, state.under_way}) {
            if (std::memcmp(content(sector, version).data(), bytes, kSector) == 0) {
                state.acknowledged = state.under_way = version;
                return;
            }
        }
        Bytes found;
        std::memcpy(found.data(), bytes, kSector);
        fail("neither version " + std::to_string(state.acknowledged) + " nor " +
             std::to_string(state.under_way) + at_sector(sector) + " but what looks like sector " +
             std::to_string(found[0] >> 32) + ", version " + std::to_string(found[0] & 0xffffffff));
    }

    const std::span<State> states_;
    const std::vector<bool> bad_;
    const int fd_;
    const dmremap::AlignedMemory memory_ = aligned(kAtOnce * kSector);
    std::byte* const data_ = memory_.get();
    std::uint64_t lost_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv, argv + argc);
    if (words.size() == 5 && words[1] == "fill")
        return fill(argv[2], argv[3], std::stoull(words[4]));
    if (words.size() == 8 && words[1] == "write")
        return Writer(map_state(argv[2]), argv[3], argv[4], std::stoull(words[5]),
                      std::stoull(words[6]), static_cast<pid_t>(std::stoul(words[7])))
            .run();
    if (words.size() == 5 && words[1] == "verify") {
        const auto states = map_state(argv[2]);
        return Verifier(states, argv[3], unreadable(argv[4], states.size())).run();
    }
    fail("usage: stamp fill|write|verify ...");
}
