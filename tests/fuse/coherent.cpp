// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a write past the page cache is seen through it once it has ended (P1), with writes that
// the kernel does not wait for: by io_uring, with O_DIRECT. For coherence.sh.
//
//   coherent once DISK          the first block is read through the cache while a write to it is
//                               under way (main must be slow), and again after that
//   coherent race DISK DEPTH    many rounds of DEPTH writes at once, while others read; each block
//                               is read through the cache when its write has ended. Of more writes
//                               than may wait (fuse/image_access.h) the cache follows soon after.
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/device/aligned_buffers.h"
#include "fuse/image_access.h"

namespace {

constexpr std::size_t kBlock = 4096;
constexpr unsigned kRounds = 200, kReaders = 2;
constexpr auto kSoon = std::chrono::seconds(60);

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "coherent: %s\n", what.c_str());
    std::_Exit(1);
}

[[noreturn]] void fail_errno(const char* what) {
    fail(std::string(what) + ": " + std::strerror(errno));
}

int open_disk(const char* path, int flags) {
    const int file = ::open(path, O_RDWR | O_CLOEXEC | flags);
    if (file < 0) fail_errno(path);
    return file;
}

// The version that a block of the disk bears.
std::uint64_t version_of(int file, unsigned block) {
    std::uint64_t version = 0;
    if (::pread(file, &version, sizeof(version), static_cast<off_t>(block * kBlock)) !=
        static_cast<ssize_t>(sizeof(version)))
        fail_errno("read");
    return version;
}

// Writes that the kernel does not wait for.
class Writes {
public:
    Writes(const char* path, unsigned depth)
        : file_(open_disk(path, O_DIRECT)), memory_(dmremap::allocate_aligned(depth * kBlock)) {
        if (!memory_ || io_uring_queue_init(depth, &ring_, 0) != 0) fail("no io_uring");
    }
    ~Writes() {
        io_uring_queue_exit(&ring_);
        ::close(file_);
    }
    Writes(const Writes&) = delete;
    Writes& operator=(const Writes&) = delete;

    void begin(unsigned block, std::uint64_t version) {
        std::byte* const data = memory_.get() + block * kBlock;
        std::memcpy(data, &version, sizeof(version));
        io_uring_sqe* const entry = io_uring_get_sqe(&ring_);
        io_uring_prep_write(entry, file_, data, kBlock, block * kBlock);
        io_uring_sqe_set_data64(entry, block);
    }
    void submit() {
        if (io_uring_submit(&ring_) < 0) fail("submit");
    }
    // The block of one that has ended.
    unsigned ended() {
        io_uring_cqe* entry = nullptr;
        if (io_uring_wait_cqe(&ring_, &entry) != 0) fail("wait");
        if (entry->res != static_cast<int>(kBlock)) fail("a write failed");
        const auto block = static_cast<unsigned>(io_uring_cqe_get_data64(entry));
        io_uring_cqe_seen(&ring_, entry);
        return block;
    }

private:
    const int file_;
    const dmremap::AlignedMemory memory_;
    io_uring ring_{};
};

void once(const char* path) {
    Writes writes(path, 1);
    const int cached = open_disk(path, 0);
    void* const mapped = ::mmap(nullptr, kBlock, PROT_READ, MAP_SHARED, cached, 0);
    if (mapped == MAP_FAILED) fail_errno("mmap");
    for (const std::uint64_t version : {1, 2, 3}) {
        writes.begin(0, version);
        writes.submit();
        if (const std::uint64_t early = version_of(cached, 0); early > version) fail("garbage");
        writes.ended();
        const std::uint64_t read = version_of(cached, 0);
        std::uint64_t seen = 0;
        std::memcpy(&seen, mapped, sizeof(seen));
        if (read != version || seen != version)
            fail("version " + std::to_string(version) + " was written, then " +
                 std::to_string(read) + " read and " + std::to_string(seen) + " mapped");
    }
}

void race(const char* path, unsigned depth) {
    Writes writes(path, depth);
    const int cached = open_disk(path, 0);
    std::atomic<bool> over{false};
    std::vector<std::thread> readers;
    for (unsigned i = 0; i < kReaders; i++)
        readers.emplace_back([&] {
            std::vector<char> all(depth * kBlock);
            while (!over)
                if (::pread(cached, all.data(), all.size(), 0) < 0) fail_errno("read");
        });
    const bool at_once = depth <= dmremap::ImageAccess::kMostWaiting;
    for (std::uint64_t version = 1; version <= kRounds; version++) {
        for (unsigned block = 0; block < depth; block++) writes.begin(block, version);
        writes.submit();
        for (unsigned i = 0; i < depth; i++) {
            const unsigned block = writes.ended();
            const auto patience = std::chrono::steady_clock::now() + kSoon;
            for (;;) {
                const std::uint64_t read = version_of(cached, block);
                if (read == version) break;
                if (at_once || read > version || std::chrono::steady_clock::now() > patience)
                    fail("version " + std::to_string(version) + " of block " +
                         std::to_string(block) + " was written, then " + std::to_string(read) +
                         " read");
            }
        }
    }
    over = true;
    for (std::thread& reader : readers) reader.join();
}

}  // namespace

int main(int argc, char** argv) {
    const std::string work = argc > 2 ? argv[1] : "";
    if (work == "once" && argc == 3)
        once(argv[2]);
    else if (work == "race" && argc == 4)
        race(argv[2], static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)));
    else
        fail("usage: coherent once DISK | race DISK DEPTH");
}
